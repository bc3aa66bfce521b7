import { codeOf } from './failure.ts'
import { TransactionError } from './session.ts'

/**
 * Does work that may be repeated. Somebody else may lock the same in another order; the database then ends one of the
 * two, of which nothing has happened.
 */
export async function withoutDeadlock<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let failures = 1; ; failures++) {
    try {
      return await work()
    } catch (error) {
      const cause = error instanceof TransactionError ? error.cause : error
      if (codeOf(cause) !== DEADLOCK || failures === MOST_DEADLOCKS) throw error
    }
  }
}

const DEADLOCK = '40P01'
const MOST_DEADLOCKS = 10
