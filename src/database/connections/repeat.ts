import type { Connections } from '../../sql/statement.ts'
import { codeOf, isSchemaMissing } from '../failure.ts'
import { reasonOf } from './transaction.ts'

/**
 * Repeats statements and transactions that end in a deadlock or a serialization failure. A deadlock: another
 * transaction has locked the same rows in another order. A serialization failure: another transaction has changed the
 * rows, and the caller's client uses a higher isolation level. In both cases the server has undone the work, so it is
 * safe to repeat.
 */
export function withoutConflicts(connections: Connections): Connections {
  return repeating(connections, untilNoConflict)
}

/** Repeats work in the same way. The work must bear to be done more than once. */
export async function untilNoConflict<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let failures = 1; ; failures++) {
    try {
      return await work()
    } catch (error) {
      if (!CONFLICTS.has(codeOf(reasonOf(error)) ?? '') || failures === MOST_CONFLICTS) throw error
    }
  }
}

/**
 * Repeats statements and transactions once if the schema is missing, out of date, or about to be migrated.
 *
 * @param mend makes the schema or waits for it; throws if there is none
 */
export function withSchema(connections: Connections, mend: () => Promise<unknown>): Connections {
  return repeating(connections, async work => {
    try {
      return await work()
    } catch (error) {
      if (!isSchemaMissing(reasonOf(error))) throw error
      await mend()
      return await work()
    }
  })
}

type Repeat = <Result>(work: () => Promise<Result>) => Promise<Result>

function repeating({ execute, transact }: Connections, repeat: Repeat): Connections {
  return {
    execute: statement => repeat(() => execute(statement)),
    transact: work => repeat(() => transact(work))
  }
}

/** A deadlock, and a serialization failure. */
const CONFLICTS = new Set(['40P01', '40001'])
const MOST_CONFLICTS = 10
