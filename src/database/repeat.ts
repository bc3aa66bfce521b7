import type { Connections } from '../sql/statement.ts'
import { codeOf, isSchemaMissing } from './failure.ts'
import { reasonOf } from './transaction.ts'

/**
 * Repeats statements and transactions that the database ended because of a conflict. Other transactions may lock the
 * same rows in another order, or change them while the caller's client uses a stricter isolation level. The statement
 * then had no effect.
 */
export function withoutConflicts(connections: Connections): Connections {
  return repeating(connections, untilNoConflict)
}

/** Repeats any work after a conflict. The work must be safe to repeat. */
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
 * Repeats statements and transactions once if the schema was missing, out of date or being migrated.
 *
 * @param mend waits for the schema or creates it; rejects if it cannot
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
