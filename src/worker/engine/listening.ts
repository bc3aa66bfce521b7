import { sever } from './client.ts'

/** The connection on which the engine hears of new jobs. */
export interface ListeningClient {
  query(statement: string): Promise<unknown>
}

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
  onListening(): void
  /** The connection does not answer, and is closed. */
  onHung(): void
  onLost(error: unknown): void
}

/** Nothing is ever asked on that connection, so if it hangs nobody would know: asks it for an answer now and then. */
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
      // The engine learns of it from the connection, and connects anew.
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

const INTERVAL_MS = 10_000
const PATIENCE_MS = 5_000
