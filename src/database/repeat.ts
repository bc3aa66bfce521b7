import type { Connections } from '../sql/statement.ts'
import { codeOf, isSchemaMissing } from './failure.ts'
import { reasonOf } from './transaction.ts'

/**
 * Repeats statements and transactions that the database ended in favour of others: those may lock the same rows in another
 * order, or change them while a client of the caller's isolates its statements more. Nothing has happened then.
 */
export function withoutConflicts(connections: Connections): Connections {
  return repeating(connections, untilNoConflict)
}

/** The same for any work that may be done more than once. */
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
 * Repeats statements and transactions once where the schema was missing or out of date, or was being migrated just then.
 *
 * @param mend waits for the schema, or makes it; throws if it cannot
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

/** A deadlock, and a transaction that cannot be serialized. */
const CONFLICTS = new Set(['40P01', '40001'])
const MOST_CONFLICTS = 10
