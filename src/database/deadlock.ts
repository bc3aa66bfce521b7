import { codeOf } from './failure.ts'
import { TransactionError } from './session.ts'

/**
 * Does work that may be repeated. Somebody else may lock the same in another order, or change the same where a client of
 * the caller's isolates its statements more; the database then ends one of the two, of which nothing has happened.
 */
export async function withoutDeadlock<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let failures = 1; ; failures++) {
    try {
      return await work()
    } catch (error) {
      const cause = error instanceof TransactionError ? error.cause : error
      if (!CONFLICTS.has(codeOf(cause) ?? '') || failures === MOST_CONFLICTS) throw error
    }
  }
}

/** A deadlock, and a transaction that cannot be serialized. */
const CONFLICTS = new Set(['40P01', '40001'])
const MOST_CONFLICTS = 10
