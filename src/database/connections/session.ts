import type { Sql } from 'postgres'
import type { Execute, Statement } from '../../sql/statement.ts'
import { type ConnectionOptions, connectionClosed, openConnection, type Running } from './connection.ts'
import { closeHoles } from './holes.ts'

/** One connection. It connects when first used, and runs statements in the order in which they were sent. */
export interface Session {
  readonly execute: Execute
  /** Whether the connection was lost. A session never reconnects. */
  readonly isLost: boolean
  /** The statement that has waited longest for its answer. */
  readonly oldest: Sent | undefined
  /** The process id of the backend as the driver knows it. Behind a pooler, the server has no such process. */
  readonly backend: number | undefined
  /** Treats the connection as lost. */
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

/** What {@linkcode openSession} takes. */
export interface SessionOptions extends Omit<ConnectionOptions, 'onLost'> {
  /** Called when the connection was lost. */
  onLost?(): void
}

/** Runs statements on any free connection of a client. */
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
 * The driver's queries refer to each other, so that a long stream of statements keeps the parameters of all of them in
 * memory for a while.
 */
function empty(query: object): void {
  Object.assign(query, { args: null, parameters: null })
}

/**
 * Opens a session with the options of a client.
 *
 * The driver's own pool cannot be relied on once a connection is lost (postgres 3.4.9):
 *
 * - A statement that is sent between the error of a socket and its end never settles.
 * - Half a message that was not written yet is sent ahead of the first message of the next connection.
 * - The rest of a transaction goes through a new connection, or to the closed socket, which ends the process.
 *
 * So a session rejects its statements when its connection is lost, and sends nothing afterwards.
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
