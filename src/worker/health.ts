import type { RequestListener } from 'node:http'
import { BackgroundError } from '../errors.ts'

/** The state of an engine. */
export interface EngineStatus {
  /** The name under which it locks jobs. */
  readonly id: string
  /** Whether it listens for notifications of new jobs. */
  readonly isListening: boolean
  /** Whether its heartbeats reach the database, and when the last one did. */
  readonly isBeating: boolean
  readonly lastBeatAt: Date | undefined
}

/** Returns the state of an engine. Each property is read when it is accessed. */
export function statusOf(
  id: string,
  listening: { readonly isListening: boolean },
  membership: { readonly liveness: { readonly isBeating: boolean; readonly lastBeatAt: Date } | undefined }
): EngineStatus {
  return {
    id,
    get isListening() {
      return listening.isListening
    },
    get isBeating() {
      return membership.liveness?.isBeating ?? false
    },
    get lastBeatAt() {
      return membership.liveness?.lastBeatAt
    }
  }
}

/** The state of a worker as the health endpoints report it. It holds no secrets. */
export interface Health extends Omit<EngineStatus, 'id'> {
  readonly status: 'ready' | 'waiting' | 'stopping'
  /** The name under which it locks jobs. */
  readonly worker: string
  readonly uptimeSeconds: number
  readonly running: number
  readonly concurrency: number
  readonly isDatabaseAway: boolean
}

/** The options of {@linkcode serveHealth}. */
export interface HealthOptions {
  readonly port: number
  /** The address to listen at; all of them if left out. */
  readonly host: string | undefined
  look(): Health
}

/** The HTTP server of the health endpoints. */
export interface HealthServer {
  readonly port: number
  close(): Promise<void>
}

/**
 * Serves `/live`, which answers while the event loop runs, and `/ready`, which answers 503 while the worker cannot take
 * jobs: the database is unavailable, or the worker is stopping.
 *
 * @throws {BackgroundError} code `CONFIGURATION` if the server cannot listen on the port
 */
export async function serveHealth({ port, host, look }: HealthOptions): Promise<HealthServer> {
  // Most workers serve nothing, and loading this module takes longer than connecting.
  const { createServer } = await import('node:http')
  const answer: RequestListener = ({ method, url }, response) => {
    const path = url?.replace(/\?.*$/, '')
    const isKnown = path === '/live' || path === '/ready'
    const isRead = method === 'GET' || method === 'HEAD'
    const health = look()
    const status = !isKnown ? 404 : !isRead ? 405 : path === '/ready' && health.status !== 'ready' ? 503 : 200
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    response.end(method === 'HEAD' ? undefined : `${JSON.stringify(isKnown && isRead ? health : { status })}\n`)
  }
  // A request here is short, and a client has no reason to keep its connection open.
  const server = createServer({ keepAliveTimeout: 1_000, requestTimeout: 5_000, headersTimeout: 5_000 }, answer)
  await new Promise<void>((resolve, reject) => {
    server.once('error', error => reject(cannotServe(port, error)))
    server.listen({ port, host }, resolve)
  })
  server.on('error', () => {})
  // The server must not keep the process running.
  server.unref()
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : port,
    async close() {
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    }
  }
}

function cannotServe(port: number, error: NodeJS.ErrnoException): BackgroundError {
  const state = error.code === 'EADDRINUSE' ? 'it is in use' : error.message
  return new BackgroundError('CONFIGURATION', `Cannot serve health on port ${port}: ${state}`, { cause: error })
}
