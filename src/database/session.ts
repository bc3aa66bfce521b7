import postgres, { type Options, type Sql } from 'postgres'
import { beginStatement, commitStatement, type Execute, rollbackStatement, type Statement } from '../sql/statement.ts'

/** One connection, whose statements run in the order in which they were sent. It connects when first used. */
export interface Session {
  readonly execute: Execute
  /** Whether the connection was lost; it is never made anew. */
  readonly isLost: boolean
  end(): Promise<void>
}

/** What makes a session a special one. */
export interface SessionOptions {
  /** What `pg_stat_activity` shows; without, what the client's connections show. */
  readonly name?: string
  /** The server has told something on a channel that the session listens on. */
  onNotice?(payload: string): void
  /** The connection was lost. */
  onLost?(): void
}

/** Runs statements in whatever connection of the client is free. */
export function executeIn(client: Pick<Sql, 'unsafe'>): Execute {
  return async <Row>({ text, values }: Statement) =>
    (await client.unsafe(text, values as (string | null)[], { prepare: true })) as unknown as readonly Row[]
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
export function openSession(client: Sql, { name, onNotice, onLost }: SessionOptions = {}): Session {
  const underWay = new Set<(error: unknown) => void>()
  const connection = openConnection(client, {
    name,
    onNotice,
    onLost(error) {
      for (const abandon of underWay) abandon(error)
      underWay.clear()
      onLost?.()
    }
  })
  const execute = executeIn(connection.driver)
  return {
    get isLost() {
      return connection.isLost
    },
    execute: <Row>(statement: Statement) =>
      new Promise<readonly Row[]>((resolve, reject) => {
        if (connection.isLost) return reject(connectionClosed())
        underWay.add(reject)
        connection.expectServer()
        execute<Row>(statement)
          .then(resolve, error => reject(connection.judge(error)))
          .finally(() => underWay.delete(reject))
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
  const send = (text: string): Promise<unknown> => session.execute({ text, values: [] })
  let isCertain = true
  try {
    await send('begin')
    const result = await work(session.execute)
    isCertain = session.isLost
    await send('commit')
    return result
  } catch (error) {
    if (!session.isLost && isCertain) await send('rollback').catch(() => {})
    throw new TransactionError(error, isCertain)
  }
}

/**
 * Runs work in a session of its own, whose statements are tagged templates, and ends it. It settles with the loss of the
 * connection, whatever the work still waits for, and then the work's statements fail without being sent.
 */
export async function withSession<Result>(
  client: Sql,
  options: Pick<ConnectionOptions, 'name' | 'prepare'>,
  work: (session: Sql) => Promise<Result>
): Promise<Result> {
  const lost = Promise.withResolvers<never>()
  lost.promise.catch(() => {})
  const connection = openConnection(client, { ...options, onLost: lost.reject })
  const session: Sql = new Proxy(connection.driver, {
    apply(target, self, args: Parameters<Sql>) {
      const isStatement = Array.isArray(args[0]) && 'raw' in args[0]
      if (isStatement && connection.isLost) return lost.promise
      const result: unknown = Reflect.apply(target, self, args)
      return isStatement ? judged(result as Promise<unknown>) : result
    },
    get(target, property) {
      if (property !== 'unsafe') return Reflect.get(target, property)
      return (...args: Parameters<Sql['unsafe']>) =>
        connection.isLost ? lost.promise : judged(target.unsafe(...args) as Promise<unknown>)
    }
  })

  /** A statement runs when it is awaited, and never if it is but a part of another. */
  function judged(query: Promise<unknown>): Promise<unknown> {
    const run: Promise<unknown>['then'] = query.then.bind(query)
    // biome-ignore lint/suspicious/noThenProperty: it is one already
    query.then = (onFulfilled, onRejected) =>
      run(undefined, error => Promise.reject(connection.judge(error))).then(onFulfilled, onRejected)
    return query
  }

  connection.expectServer()
  try {
    return await Promise.race([work(session), lost.promise])
  } finally {
    await connection.end()
  }
}

/** Runs work in a transaction of such a session, and commits it. */
export async function atomically<Result>(session: Sql, work: () => Promise<Result>): Promise<Result> {
  const send = async ({ text }: Statement): Promise<unknown> => await session.unsafe(text)
  await send(beginStatement)
  try {
    const result = await work()
    await send(commitStatement)
    return result
  } catch (error) {
    await send(rollbackStatement).catch(() => {})
    throw error
  }
}

/**
 * Runs work in a transaction of a session of its own.
 *
 * The driver's own transactions roll back on the connection that they have lost, and that ends the process.
 */
export async function begin<Result>(client: Sql, work: (transaction: Sql) => Promise<Result>): Promise<Result> {
  return await withSession(client, {}, session => atomically(session, () => work(session)))
}

/** A connection that is never made anew. */
interface Connection {
  readonly driver: Sql
  readonly isLost: boolean
  /** Takes the connection for lost if no server answers in time. */
  expectServer(): void
  /**
   * Returns what a statement failed with. Unless the server has answered so, the connection is lost, though it may not
   * have closed yet: for a statement that comes in between the driver connects anew, and nobody ends that connection.
   */
  judge(error: unknown): unknown
  end(): Promise<void>
}

interface ConnectionOptions {
  readonly name?: string
  /** Whether statements are prepared by name; without, as the client does. */
  readonly prepare?: boolean
  onNotice?(payload: string): void
  onLost(error: unknown): void
}

function openConnection(client: Sql, { name, prepare, onNotice, onLost }: ConnectionOptions): Connection {
  let isLost = false
  let isEstablished = false
  let deadline: ReturnType<typeof setInterval> | undefined
  const driver = postgres({
    ...client.options,
    max: 1,
    idle_timeout: null,
    max_lifetime: null,
    fetch_types: false,
    ...(prepare !== undefined && { prepare }),
    ...(name !== undefined && { connection: { ...client.options.connection, application_name: name } }),
    // What the server has told one session is else no news from the next, and it would never count as established.
    parameters: {},
    onparameter: () => {
      isEstablished = true
      clearInterval(deadline)
    },
    onnotify: onNotice && ((_channel: string, payload: string) => onNotice(payload)),
    onclose: () => lose(connectionClosed())
  } as unknown as Options<Record<string, never>>)

  function lose(error: unknown): void {
    if (isLost) return
    isLost = true
    clearInterval(deadline)
    onLost(error)
  }

  return {
    driver,
    get isLost() {
      return isLost
    },
    expectServer() {
      // The driver tries for ever where somebody takes connections and closes them, as a proxy without a server does.
      if (!isEstablished) deadline ??= afterTicks(CONNECT_TIMEOUT_MS / 1_000, () => lose(connectTimeout()))
    },
    judge(error) {
      if (!isAnswer(error)) lose(error)
      return error
    },
    async end() {
      clearInterval(deadline)
      await driver.end({ timeout: isEstablished && !isLost ? 5 : 0 })
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

function connectionClosed(): Error {
  return Object.assign(new Error('The connection was closed before the answer came'), { code: 'CONNECTION_CLOSED' })
}

/** A little more than the driver's own, which does not run while it tries anew. */
export const CONNECT_TIMEOUT_MS = 12_000
