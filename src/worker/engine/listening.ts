import type pg from 'pg'
import { sever } from './client.ts'
import type { Connections } from './connections.ts'

/** The connection on which the engine hears of new jobs. */
export type ListeningClient = pg.ClientBase

/** Watches whether the worker receives notifications of new jobs. */
export interface Listening {
  readonly isListening: boolean
  /** Call when the engine starts to listen on this connection. */
  listen(client: ListeningClient): void
  /** Closes the connection. The engine reconnects, perhaps to another server. */
  renew(): void
  /** Call when the engine has lost the connection. */
  lost(error?: unknown): void
  stop(): void
}

/** The options of {@linkcode watchListening}. */
export interface ListeningOptions {
  /** Has the connection closed if it does not answer; see {@linkcode Connections.watch}. */
  watch: Connections['watch']
  onListening(): void
  onLost(error: unknown): void
}

/** The engine sends no statement on that connection, so a hang would go unnoticed. This asks for an answer now and then. */
export function watchListening({ watch, onListening, onLost }: ListeningOptions): Listening {
  let isListening = false
  let current: ListeningClient | undefined
  let isRenewing = false
  let timer: NodeJS.Timeout | undefined

  async function probe(): Promise<void> {
    const client = current
    if (!client) return
    const answered = watch(client, '')
    const isAnswered = await client.query('').then(
      () => true,
      () => false
    )
    answered()
    if (client !== current) return
    if (isAnswered && !isListening) onListening()
    isListening = isAnswered
    if (isAnswered) timer = setTimeout(probe, INTERVAL_MS)
  }

  function stop(): void {
    clearTimeout(timer)
    current = undefined
    isListening = false
  }

  return {
    get isListening() {
      return isListening
    },
    listen(client) {
      stop()
      current = client
      isRenewing = false
      // This query follows the engine's LISTEN, so its answer proves that the connection listens.
      timer = setTimeout(probe)
    },
    renew() {
      if (!current) return
      isRenewing = true
      sever(current)
    },
    lost(error) {
      stop()
      if (error !== undefined && !isRenewing) onLost(error)
    },
    stop
  }
}

const INTERVAL_MS = 10_000
