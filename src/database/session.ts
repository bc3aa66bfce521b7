import type { Socket } from 'node:net'
import postgres, { type Options, type Sql } from 'postgres'
import { introduceStatement, SETTINGS, type Settings } from '../sql/settings.ts'
import { beginStatement, commitStatement, type Execute, rollbackStatement, type Statement } from '../sql/statement.ts'
import { isOutcomeUnknown } from './failure.ts'
import { withoutHoles } from './holes.ts'
import { clientEnded, connectSockets, createSockets } from './sockets.ts'

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
  end(): Promise<void>
}

/** A statement without an answer yet. */
export interface Sent {
  readonly text: string
  readonly reject: (error: unknown) => void
}

/** A statement as the driver has it. */
interface Running extends Promise<unknown> {
  readonly state?: { readonly pid: number | null }
}

/** What makes a session a special one. */
export interface SessionOptions {
  /** What `pg_stat_activity` shows; without, what the client's connections show. */
  readonly name?: string
  /** Its settings, besides which it has the server's. */
  readonly settings?: Settings
  /** The server has told something on a channel that the session listens on. */
  onNotice?(payload: string): void
  /** The connection was lost. */
  onLost?(): void
}

/** Runs statements in whatever connection of the client is free. */
export function executeIn(client: Pick<Sql, 'unsafe'>): Execute {
  return async <Row>(statement: Statement) => {
    const query = send(client, statement)
    try {
      return (await query) as unknown as readonly Row[]
    } finally {
      empty(query)
    }
  }
}

function send(client: Pick<Sql, 'unsafe'>, { text, values }: Statement): ReturnType<Sql['unsafe']> {
  return withoutHoles(client.unsafe(text, values as (string | null)[], { prepare: true }))
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
export function openSession(client: Sql, { name, settings, onNotice, onLost }: SessionOptions = {}): Session {
  let latest: Running | undefined
  const underWay = new Set<Sent>()
  const connection = openConnection(client, {
    name,
    settings,
    onNotice,
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
            rows => resolve(rows as unknown as readonly Row[]),
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

/** How a transaction of ours ended that was not committed. */
export class TransactionError extends Error {
  override readonly name: string = 'TransactionError'

  /** Whether it is certain that nothing was committed. */
  readonly isCertain: boolean

  constructor(cause: unknown, isCertain: boolean) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.isCertain = isCertain
  }
}

/**
 * Runs work in a transaction of a session, and commits it.
 *
 * @throws {TransactionError} with the error that ended it as its cause
 */
export async function inTransaction<Result>(
  session: Session,
  work: (execute: Execute) => Promise<Result>
): Promise<Result> {
  let isCertain = true
  try {
    await session.execute(beginStatement)
    const result = await work(session.execute)
    isCertain = session.isLost
    await session.execute(commitStatement)
    return result
  } catch (error) {
    if (!session.isLost && isCertain) await session.execute(rollbackStatement).catch(() => {})
    throw new TransactionError(error, isCertain)
  }
}

/** A connection that is never made anew. */
export interface Connection {
  readonly driver: Sql
  readonly isLost: boolean
  /** Takes the connection for lost. */
  lose(error: unknown): void
  /** The same if no server answers in time. Comes before the first statement. */
  expectServer(): void
  /**
   * Returns what a statement failed with. Unless the server has answered so, the connection is lost, though it may not
   * have closed yet: for a statement that comes in between the driver connects anew, and nobody ends that connection.
   */
  judge(error: unknown): unknown
  end(): Promise<void>
}

/** What {@linkcode openConnection} takes. */
export interface ConnectionOptions {
  readonly name?: string
  /** Whether statements are prepared by name; without, as the client does. */
  readonly prepare?: boolean
  /** Its settings, besides which it has the server's. */
  readonly settings?: Settings
  onNotice?(payload: string): void
  onLost(error: unknown): void
}

/** Opens a connection with the options of a client. It connects when first used. */
export function openConnection(client: Sql, options: ConnectionOptions): Connection {
  const { name, prepare, settings = SETTINGS, onNotice, onLost } = options
  let isLost = false
  let isEstablished = false
  let isIntroduced = false
  let socket: { readonly localPort?: number } | undefined
  let deadline: ReturnType<typeof setInterval> | undefined
  const sockets = createSockets()
  const given: unknown = 'socket' in client.options && client.options.socket
  const createSocket = (given || connectSockets(sockets)) as (options: never) => Socket
  const driver = postgres({
    ...client.options,
    max: 1,
    idle_timeout: null,
    max_lifetime: null,
    fetch_types: false,
    ...(prepare !== undefined && { prepare }),
    ...(name !== undefined && { connection: { ...client.options.connection, application_name: name } }),
    socket(options: never) {
      if (isLost || sockets.areDestroyed) throw clientEnded()
      socket = createSocket(options)
      return socket
    },
    // What the server has told one session is else no news from the next, and it would never count as established.
    parameters: {},
    onparameter: () => {
      isEstablished = true
      clearInterval(deadline)
    },
    onnotify: onNotice && ((_channel: string, payload: string) => onNotice(payload)),
    onclose: () => lose(isEstablished ? connectionClosed() : noConnection(connectionClosed()))
  } as unknown as Options<Record<string, never>>)

  function lose(error: unknown): void {
    if (isLost) return
    isLost = true
    clearInterval(deadline)
    onLost(error)
  }

  /** The driver writes the parameters when it sends them: before, neither is known. */
  function introduce(): void {
    isIntroduced = true
    const { text } = introduceStatement(settings)
    const backend = { toString: () => String(query.state?.pid ?? '') }
    const port = { toString: () => String(socket?.localPort ?? '') }
    const query = driver.unsafe(text, [backend, port] as never[]) as unknown as Running
    query.catch(judge)
  }

  function judge(error: unknown): unknown {
    if (isAnswer(error) && isEstablished) return error
    // Before it is there nothing is sent: it was refused, or however it broke, it is certain what has happened.
    const reason = !isEstablished && isOutcomeUnknown(error) ? noConnection(error) : error
    lose(reason)
    return reason
  }

  return {
    driver,
    get isLost() {
      return isLost
    },
    lose,
    expectServer() {
      // The driver tries for ever where somebody takes connections and closes them, as a proxy without a server does.
      if (!isIntroduced) introduce()
      if (!isEstablished) deadline ??= afterTicks(CONNECT_TIMEOUT_MS / 1_000, () => lose(connectTimeout()))
    },
    judge,
    async end() {
      clearInterval(deadline)
      await driver.end({ timeout: isEstablished && !isLost ? 5 : 0 })
      // A peer that is gone without a word would keep the socket, and that the process.
      sockets.destroy()
    }
  }
}

/** Counts seconds in which the event loop turned: one that a task blocked has not heard answers that are there. */
export function afterTicks(ticks: number, callback: () => void): ReturnType<typeof setInterval> {
  let left = ticks
  return setInterval(() => {
    if (--left === 0) callback()
  }, 1_000)
}

/** Whether the server has answered, so that the connection is as good as before. */
export function isAnswer(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'severity' in error
}

/** No server has answered in time. */
export function connectTimeout(): Error {
  return Object.assign(new Error('No server answered in time'), { code: 'CONNECT_TIMEOUT' })
}

function noConnection(cause: unknown): Error {
  return Object.assign(new Error('The connection broke before it was made', { cause }), { code: 'NO_CONNECTION' })
}

function connectionClosed(): Error {
  return Object.assign(new Error('The connection was closed before the answer came'), { code: 'CONNECTION_CLOSED' })
}

/** A little more than the driver's own, which does not run while it tries anew. */
export const CONNECT_TIMEOUT_MS = 12_000
