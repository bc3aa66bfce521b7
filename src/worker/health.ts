import type { RequestListener } from 'node:http'
import { BackgroundError } from '../errors.ts'

/** What an engine knows of its own state. */
export interface EngineStatus {
  /** The name under which it locks jobs. */
  readonly id: string
  /** Whether it hears of new jobs. */
  readonly isListening: boolean
  /** Whether its beats reach the database, and when the last one did. */
  readonly isBeating: boolean
  readonly lastBeatAt: Date | undefined
}

/** The state of an engine, read anew each time. */
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

/** What a worker says of itself to whoever looks after processes. Nothing in it is secret. */
export interface Health extends Omit<EngineStatus, 'id'> {
  readonly status: 'ready' | 'waiting' | 'stopping'
  /** The name under which it locks jobs. */
  readonly worker: string
  readonly uptimeSeconds: number
  readonly running: number
  readonly concurrency: number
  readonly isDatabaseAway: boolean
}

/** What {@linkcode serveHealth} takes. */
export interface HealthOptions {
  readonly port: number
  /** The address to listen at; all of them if left out. */
  readonly host: string | undefined
  look(): Health
}

/** A server that tells how a worker is. */
export interface HealthServer {
  readonly port: number
  close(): Promise<void>
}

/**
 * Serves `/live`, which answers as long as the event loop turns, and `/ready`, which is 503 while the worker cannot take
 * jobs: the database is away, or it is stopping.
 *
 * @throws {BackgroundError} code `CONFIGURATION` if the port is not to be had
 */
export async function serveHealth({ port, host, look }: HealthOptions): Promise<HealthServer> {
  // Most workers serve nothing, and to load this takes longer than to connect.
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
  // Nobody has more than a line to say here, nor a reason to stay.
  const server = createServer({ keepAliveTimeout: 1_000, requestTimeout: 5_000, headersTimeout: 5_000 }, answer)
  await new Promise<void>((resolve, reject) => {
    server.once('error', error => reject(cannotServe(port, error)))
    server.listen({ port, host }, resolve)
  })
  server.on('error', () => {})
  // It serves the worker, and never keeps the process.
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
