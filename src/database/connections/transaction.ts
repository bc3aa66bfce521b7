import type { Sql } from 'postgres'
import { beginStatement, commitStatement, type Execute, rollbackStatement } from '../../sql/statement.ts'
import { openSession, type Session } from './session.ts'

/** A transaction was not committed, or may not have been. Its cause is the error that ended it. */
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

/** The error that ended a transaction; any other error as it is. */
export function reasonOf(error: unknown): unknown {
  return error instanceof TransactionError ? error.cause : error
}

/** Runs work in a transaction of a session, and throws the error that ended it. */
export async function atomically<Result>(
  session: Session,
  work: (execute: Execute) => Promise<Result>
): Promise<Result> {
  try {
    return await inTransaction(session, work)
  } catch (error) {
    throw reasonOf(error)
  }
}

/**
 * Runs work in a transaction on a session of its own, with the options of a client. The driver's own transactions end the
 * process if they lose their connection.
 *
 * @throws {TransactionError} with the error that ended it as its cause
 */
export async function begin<Result>(client: Sql, work: (execute: Execute) => Promise<Result>): Promise<Result> {
  const session = openSession(client)
  try {
    return await inTransaction(session, work)
  } finally {
    await session.end()
  }
}
