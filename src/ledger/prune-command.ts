import type { Sql } from 'postgres'
import { type Duration, toMilliseconds } from '../duration.ts'
import { readClock } from '../sql/ledger/partitions.ts'
import { listPartitions } from '../sql/ledger/upkeep.ts'
import { ownSchema } from '../sql/names.ts'
import { findDue, pruneLedger } from './prune.ts'

/** What {@linkcode Inspection.prune} takes. */
export interface PruneOptions {
  /**
   * For how long runs are kept that did not fail. Runs go by whole days, and never those of today and yesterday;
   * `'forever'` removes none.
   *
   * @default '7d'
   */
  keep?: Duration | 'forever'
  /**
   * The same for failures.
   *
   * @default '30d'
   */
  keepFailures?: Duration | 'forever'
  /**
   * Whether only to tell what would be removed.
   *
   * @default false
   */
  isDryRun?: boolean
}

/** What {@linkcode Inspection.prune} did, or would do. */
export interface PruneReport {
  /** The partitions of the ledger that were dropped, each a day of runs. */
  readonly dropped: readonly string[]
  /** By how many the rows of counters became fewer. */
  readonly folded: number
  /** Whether nothing was done. */
  readonly isDryRun: boolean
}

/** How long runs are to be kept; `null` is for ever. */
export interface Kept {
  readonly successesMs: number | null
  readonly failuresMs: number | null
}

/**
 * @throws {TypeError} if one is no duration
 * @throws {RangeError} if one is negative
 */
export function toKept({ keep = '7d', keepFailures = '30d' }: PruneOptions): Kept {
  return {
    successesMs: keep === 'forever' ? null : toMilliseconds(keep, 'prune the ledger', 'keep'),
    failuresMs: keepFailures === 'forever' ? null : toMilliseconds(keepFailures, 'prune the ledger', 'keepFailures')
  }
}

/** Removes what is older, or only tells what that is. */
export async function prune(sql: Sql, schema: string, kept: Kept, isDryRun: boolean): Promise<PruneReport> {
  if (!isDryRun) return { ...(await pruneLedger(sql, schema, kept)), isDryRun }
  const partitions = await listPartitions(sql, ownSchema(schema))
  const dropped = findDue(partitions, kept, await readClock(sql)).map(({ name }) => name)
  return { dropped, folded: 0, isDryRun }
}
