import type { Sql } from 'postgres'
import { beginStatement, commitStatement, rollbackStatement, type Statement } from '../sql/statement.ts'
import { withoutHoles } from './holes.ts'
import { type ConnectionOptions, openConnection } from './session.ts'

/**
 * Runs work in a session of its own, whose statements are tagged templates, and ends it. It settles with the loss of the
 * connection, whatever the work still waits for, and then the work's statements fail without being sent.
 */
export async function withSession<Result>(
  client: Sql,
  options: Pick<ConnectionOptions, 'name' | 'prepare' | 'settings'>,
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
    const run: Promise<unknown>['then'] = withoutHoles(query).then.bind(query)
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
