import type { Sql } from 'postgres'
import { type Keep, toKeptMs } from '../rules/retention.ts'
import { readClock } from '../sql/ledger/partitions.ts'
import { listPartitions } from '../sql/ledger/upkeep.ts'
import { ownSchema } from '../sql/names.ts'
import { findDue, pruneLedger } from './prune.ts'

/** What {@linkcode Inspection.prune} takes. */
export interface PruneOptions {
  /**
   * For how long runs are kept that did not fail. Runs go by whole days, and never those of today and yesterday;
   * `'forever'` removes none, `false` all others.
   *
   * @default '7d'
   */
  keepSuccesses?: Keep
  /**
   * The same for failures.
   *
   * @default '30d'
   */
  keepFailures?: Keep
  /**
   * Whether only to tell what would be removed.
   *
   * @default false
   */
  dryRun?: boolean
}

/** What {@linkcode Inspection.prune} did, or would do. */
export interface PruneReport {
  /** The partitions of the ledger that were dropped, each a day of runs. */
  readonly dropped: readonly string[]
  /** By how many the rows of counters became fewer. */
  readonly folded: number
}

/** How long runs are to be kept; `null` is for ever. */
export interface Kept {
  readonly successesMs: number | null | false
  readonly failuresMs: number | null | false
}

/**
 * @throws {TypeError} if one is no duration
 * @throws {RangeError} if one is negative
 */
export function toKept({ keepSuccesses = '7d', keepFailures = '30d' }: PruneOptions): Kept {
  return {
    successesMs: toKeptMs(keepSuccesses, 'prune the ledger', 'keepSuccesses'),
    failuresMs: toKeptMs(keepFailures, 'prune the ledger', 'keepFailures')
  }
}

/** Removes what is older, or only tells what that is. */
export async function prune(sql: Sql, schema: string, kept: Kept, dryRun: boolean): Promise<PruneReport> {
  if (!dryRun) return await pruneLedger(sql, schema, kept)
  const partitions = await listPartitions(sql, ownSchema(schema))
  const dropped = findDue(partitions, kept, await readClock(sql)).map(({ name }) => name)
  return { dropped, folded: 0 }
}
