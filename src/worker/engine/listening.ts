import type pg from 'pg'
import { workerTimings } from '../../rules/timings.ts'
import { listenStatement } from '../../sql/worker/notify.ts'
import { sever } from './client.ts'
import type { Connections } from './connections.ts'

/** The connection on which the engine hears of new jobs. */
export type ListeningClient = pg.ClientBase

/** Watches whether the worker receives notifications of new jobs. */
export interface Listening {
  readonly isListening: boolean
  /** Call when the engine starts to listen on this connection. Listens there for other notifications, too. */
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
  /** Called when the connection listens. Notifications that came before are lost. */
  onListening(): void
  onLost(error: unknown): void
}

/** The engine sends no statement on that connection, so a hang would go unnoticed. This asks for an answer now and then. */
export function watchListening({ watch, onListening, onLost }: ListeningOptions): Listening {
  let isListening = false
  let current: ListeningClient | undefined
  let isRenewing = false
  let timer: NodeJS.Timeout | undefined
  let answered = (): void => {}

  async function ask(client: ListeningClient, statement: string): Promise<void> {
    answered = watch(client, statement)
    const isAnswered = await client.query(statement).then(
      () => true,
      () => false
    )
    if (client !== current) return
    answered()
    if (isAnswered && !isListening) onListening()
    isListening = isAnswered
    if (isAnswered) timer = setTimeout(ask, workerTimings.listenEveryMs, client, '')
  }

  function stop(): void {
    clearTimeout(timer)
    answered()
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
      // node-postgres takes one statement at a time, and the engine's LISTEN is under way.
      answered = watch(client, '')
      client.once('drain', () => {
        answered()
        if (client === current) void ask(client, listenStatement.text)
      })
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
