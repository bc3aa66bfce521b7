import type { Sql } from 'postgres'
import { dayOf, partitionOf } from '../sql/ledger/partitions.ts'
import { listPartitions } from '../sql/ledger/upkeep.ts'
import { ownSchema } from '../sql/names.ts'
import { type Keep, toKeptMs } from './keep.ts'
import { pruneLedger } from './prune.ts'

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
  /** How many rows of counters were folded into fewer. */
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
  const dropped = partitions
    .map(({ name }) => name)
    .filter(name => {
      const keptMs = name.endsWith('_failures') ? kept.failuresMs : kept.successesMs
      return keptMs !== null && name < oldestKept(keptMs || 0)
    })
  return { dropped, folded: 0 }
}

function oldestKept(keptMs: number): string {
  return partitionOf(dayOf(new Date(Date.now() - Math.max(keptMs, DAY_MS))), false)
}

const DAY_MS = 86_400_000
