import type { Sql } from 'postgres'
import type { Execute, Statement } from '../sql/statement.ts'
import { type ConnectionOptions, connectionClosed, openConnection, type Running } from './connection.ts'
import { closeHoles } from './holes.ts'

/** One connection. Its statements run in the order in which they were sent. It connects on first use. */
export interface Session {
  readonly execute: Execute
  /** Whether the connection was lost. It never reconnects. */
  readonly isLost: boolean
  /** The statement that has waited longest for its answer. */
  readonly oldest: Sent | undefined
  /** The backend as the driver knows it. Behind a pooler this is not a backend of the server. */
  readonly backend: number | undefined
  /** Marks the connection as lost. */
  abandon(error: Error): void
  /** Asks the server to cancel the statement that was sent last. */
  cancel(): void
  end(): Promise<void>
}

/** A statement without an answer yet. */
export interface Sent {
  readonly text: string
  readonly reject: (error: unknown) => void
}

/** The options of a session. */
export interface SessionOptions extends Omit<ConnectionOptions, 'onLost'> {
  /** Called when the connection was lost. */
  onLost?(): void
}

/** Returns a function that runs statements on a free connection of the client. */
export function executeIn(client: Pick<Sql, 'unsafe'>): Execute {
  return async <Row>(statement: Statement) => {
    const query = send(client, statement)
    try {
      return closeHoles((await query) as unknown as readonly Row[])
    } finally {
      empty(query)
    }
  }
}

function send(client: Pick<Sql, 'unsafe'>, { text, values }: Statement): ReturnType<Sql['unsafe']> {
  return client.unsafe(text, values as (string | null)[], { prepare: true })
}

/**
 * Drops the parameters of a query. Young queries of the driver hold references to each other and so keep the memory of
 * their parameters. Without this, a long stream of large queries would make the heap grow without end.
 */
function empty(query: object): void {
  Object.assign(query, { args: null, parameters: null })
}

/**
 * Opens a session with the options of a client.
 *
 * The driver's own pool does not handle lost connections safely (postgres 3.4.9). A statement that is sent between the
 * error and the close of a socket never settles. A partly written message is sent before the first message of the next
 * connection. In a transaction, later statements use a new connection, outside of the transaction, or the closed
 * socket, which ends the process. So a session rejects its statements when it is lost, sends nothing afterwards and is
 * replaced.
 */
export function openSession(client: Sql, { onLost, ...options }: SessionOptions = {}): Session {
  let latest: Running | undefined
  const underWay = new Set<Sent>()
  const connection = openConnection(client, {
    ...options,
    onLost(error) {
      for (const { reject } of underWay) reject(error)
      underWay.clear()
      onLost?.()
    }
  })
  return {
    get isLost() {
      return connection.isLost
    },
    get oldest() {
      return underWay.values().next().value
    },
    get backend() {
      return latest?.state?.pid ?? undefined
    },
    abandon: connection.lose,
    cancel() {
      if (!connection.isLost) latest?.cancel()
    },
    execute: <Row>(statement: Statement) =>
      new Promise<readonly Row[]>((resolve, reject) => {
        if (connection.isLost) return reject(connectionClosed())
        const sent = { text: statement.text, reject }
        underWay.add(sent)
        connection.expectServer()
        const query = send(connection.driver, statement)
        latest = query as unknown as Running
        query
          .then(
            rows => resolve(closeHoles(rows as unknown as readonly Row[])),
            error => reject(connection.judge(error))
          )
          .finally(() => {
            underWay.delete(sent)
            empty(query)
          })
      }),
    end: connection.end
  }
}
