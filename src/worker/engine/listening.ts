import { sever } from './client.ts'

/** The connection on which the engine listens for notifications of new jobs. */
export interface ListeningClient {
  query(statement: string): Promise<unknown>
}

/** Watches whether the worker receives notifications of new jobs. */
export interface Listening {
  readonly isListening: boolean
  /** Call when the engine starts to listen on this connection. */
  listen(client: ListeningClient): void
  /** Call when other connections hang. Tests this connection now. */
  suspect(): void
  /** Closes the connection. The engine reconnects, perhaps to another server. */
  renew(): void
  /** Call when the engine has lost the connection. */
  lost(error?: unknown): void
  stop(): void
}

/** The options of {@linkcode watchListening}. */
export interface ListeningOptions {
  onListening(): void
  /** Called when the connection does not answer and was closed. */
  onHung(): void
  onLost(error: unknown): void
}

/** Sends an empty query at regular intervals: the engine sends nothing here, so it would not notice a hang. */
export function watchListening({ onListening, onHung, onLost }: ListeningOptions): Listening {
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
    const closing = setTimeout(() => {
      // The connection tells the engine that it has closed, and the engine reconnects.
      sever(client)
      onHung()
    }, PATIENCE_MS)
    const isAnswered = await client.query('').then(
      () => true,
      () => false
    )
    clearTimeout(closing)
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
      // This query follows the engine's LISTEN, so its answer proves that the connection listens.
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

const INTERVAL_MS = 10_000
const PATIENCE_MS = 5_000
