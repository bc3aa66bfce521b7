import type { Sql } from 'postgres'
import type { Execute, Statement } from '../sql/statement.ts'
import { type ConnectionOptions, connectionClosed, openConnection, type Running } from './connection.ts'
import { closeHoles } from './holes.ts'

/** One connection, whose statements run in the order in which they were sent. It connects when first used. */
export interface Session {
  readonly execute: Execute
  /** Whether the connection was lost; it is never made anew. */
  readonly isLost: boolean
  /** What has waited longest for its answer. */
  readonly oldest: Sent | undefined
  /** The backend as the driver knows it; behind a pooler it is none of the server's. */
  readonly backend: number | undefined
  /** Takes the connection for lost. */
  abandon(error: Error): void
  /** Asks the server to give up the statement that was sent last. */
  cancel(): void
  end(): Promise<void>
}

/** A statement without an answer yet. */
export interface Sent {
  readonly text: string
  readonly reject: (error: unknown) => void
}

/** What makes a session a special one. */
export interface SessionOptions extends Omit<ConnectionOptions, 'onLost'> {
  /** The connection was lost. */
  onLost?(): void
}

/** Runs statements in whatever connection of the client is free. */
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
 * The driver's queries keep each other from being collected while they are young, and with them all that was sent: a
 * long stream of large ones would have the heap grow as if nothing were ever done with.
 */
function empty(query: object): void {
  Object.assign(query, { args: null, parameters: null })
}

/**
 * Opens a session with the options of a client.
 *
 * A connection of the driver's own pool is not to be trusted once it may be lost (postgres 3.4.9). A statement sent
 * between the error of a socket and its end never settles; half a message that was not written yet is put in front of
 * the first of the next connection; in a transaction what follows goes through a new connection, outside of it, or to
 * the closed socket, which ends the process. So a session settles by itself when it is lost, sends nothing afterwards,
 * and is thrown away.
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
