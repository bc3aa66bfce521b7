import type pg from 'pg'
import { sever } from './client.ts'
import type { Connections } from './connections.ts'

/** The connection on which the engine hears of new jobs. */
export type ListeningClient = pg.ClientBase

/** Knows whether the worker hears of new jobs. */
export interface Listening {
  readonly isListening: boolean
  /** The engine listens on this connection from now on. */
  listen(client: ListeningClient): void
  /** Other connections hang: asks this one now. */
  suspect(): void
  /** Closes it: the engine connects anew, perhaps to another server. */
  renew(): void
  /** It no longer does. */
  lost(error?: unknown): void
  stop(): void
}

/** What {@linkcode watchListening} takes. */
export interface ListeningOptions {
  /** Has the connection closed if it does not answer; see {@linkcode Connections.watch}. */
  watch: Connections['watch']
  onListening(): void
  onLost(error: unknown): void
}

/** No statement follows on that connection, so it would hang unnoticed: asks it for an answer now and then. */
export function watchListening({ watch, onListening, onLost }: ListeningOptions): Listening {
  let isListening = false
  let current: ListeningClient | undefined
  let isAsking = false
  let isRenewing = false
  let timer: NodeJS.Timeout | undefined

  async function probe(): Promise<void> {
    const client = current
    if (!client || isAsking) return
    clearTimeout(timer)
    isAsking = true
    const answered = watch(client, '')
    const isAnswered = await client.query('').then(
      () => true,
      () => false
    )
    answered()
    if (client !== current) return
    isAsking = false
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
      isAsking = false
      isRenewing = false
      // Just after the engine has asked to listen: what answers then is a connection that does.
      timer = setTimeout(probe)
    },
    suspect: probe,
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

const INTERVAL_MS = 5_000
