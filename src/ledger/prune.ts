import { type Names, refuseUnknown } from '../check/options.ts'
import { createPool } from '../database/connections/pool.ts'
import { withoutConflicts, withSchema } from '../database/connections/repeat.ts'
import { requireSchema } from '../database/migrate.ts'
import { type Database, templateOf } from '../database/open.ts'
import { countersKeptMs, isTooOld, type Keep, type Retention, toRetention } from '../rules/retention.ts'
import { removeCounters } from '../sql/ledger/counters.ts'
import { createPartitions, dayOf, readPartitionName } from '../sql/ledger/partitions.ts'
import { DAYS_AHEAD } from '../sql/ledger/schema.ts'
import {
  detachPartition,
  dropPartition,
  finishDetaching,
  listPartitions,
  lockUpkeep,
  type Partition,
  removeStale
} from '../sql/ledger/upkeep.ts'
import { ownSchema } from '../sql/names.ts'
import type { Connections, Execute } from '../sql/statement.ts'
import { readClock } from '../sql/times.ts'
import { foldAll } from './fold.ts'

/** Options of `prune`. */
export interface PruneOptions {
  /**
   * How long runs that did not fail are kept. Runs go by whole days, and today's and yesterday's stay. `'forever'`
   * removes none, `false` all others.
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
   * Whether to remove nothing and only report.
   *
   * @default false
   */
  dryRun?: boolean
}

/** The names of the {@linkcode PruneOptions}, for checks. */
export const PRUNE_OPTIONS: Names<PruneOptions> = { keepSuccesses: true, keepFailures: true, dryRun: true }

/** What `prune` removed, or would remove. */
export interface PruneReport {
  /** The partitions of the ledger that were dropped, each with a day of runs. */
  readonly dropped: readonly string[]
  /** By how many rows the counters have shrunk. */
  readonly folded: number
}

/** Creates the call that prunes the ledger of one database. */
export function createPruning(
  use: <Result>(doing: string, work: (opened: { readonly database: Database }) => Promise<Result>) => Promise<Result>,
  schema: string
): { prune(options?: PruneOptions): Promise<PruneReport> } {
  const doing = 'prune the ledger'
  return {
    async prune(options = {}) {
      refuseUnknown(options, PRUNE_OPTIONS, doing)
      const retention = toRetention(options, doing)
      return await use(doing, async ({ database }) => {
        // Detaching a partition may wait for long, so it has a connection of its own.
        const pool = createPool(templateOf(database), 1, { name: 'kretes prune', prepare: false })
        const connections = withSchema(withoutConflicts(pool), () => requireSchema(database, schema, doing))
        try {
          return await prune(connections, schema, retention, options.dryRun)
        } finally {
          await pool.end()
        }
      })
    }
  }
}

/** Removes runs that are too old, or only reports them. */
export async function prune(
  connections: Connections,
  schema: string,
  retention: Retention,
  dryRun: boolean = false
): Promise<PruneReport> {
  if (!dryRun) return await pruneLedger(connections, schema, retention)
  const { execute } = connections
  const partitions = await listPartitions(execute, ownSchema(schema))
  return { dropped: findTooOld(partitions, retention, await readClock(execute)).map(({ name }) => name), folded: 0 }
}

/** Settings of {@linkcode pruneLedger}. */
export interface PruneSettings extends Retention {
  /**
   * The time that counts as now.
   *
   * @default the time of the database
   */
  readonly now?: Date
}

/** The result of {@linkcode tidyLedger}. */
export interface Tidying {
  readonly folded: number
  /** Whether there is more to fold, because the signal has aborted. */
  readonly isBehind: boolean
  /** Partitions that are too old, for {@linkcode dropPartitions}. */
  readonly due: readonly Partition[]
}

/**
 * Creates the partitions of the next days and removes runs that are too old. Transactions that read or write runs do not
 * wait for it; it waits for transactions that have read the runs that it removes.
 */
export async function pruneLedger(
  connections: Connections,
  schema: string,
  retention: PruneSettings
): Promise<PruneReport> {
  const tidied = await tidyLedger(connections, schema, retention)
  const dropped = await dropPartitions(connections.execute, schema, tidied?.due ?? [])
  return { dropped, folded: tidied?.folded ?? 0 }
}

/**
 * Does the part of {@linkcode pruneLedger} that waits for no other transaction.
 *
 * @param signal ends the folding of counters after the current part; another call continues there
 * @returns `undefined` if another process does the same at this moment
 */
export async function tidyLedger(
  connections: Connections,
  schema: string,
  retention: PruneSettings,
  signal?: AbortSignal
): Promise<Tidying | undefined> {
  const own = ownSchema(schema)
  const tidied = await connections.transact(async execute => {
    if (!(await lockUpkeep(execute, own))) return undefined
    const now = retention.now ?? (await readClock(execute))
    await makeRoom(execute, schema, now)
    await removeStale(execute, own, schema)
    const keptMs = countersKeptMs(retention)
    if (keptMs !== null) await removeCounters(execute, own, new Date(now.getTime() - keptMs).toISOString())
    return { now, due: findTooOld(await listPartitions(execute, own), retention, now) }
  })
  return tidied && { due: tidied.due, ...(await foldAll(connections, own, tidied.now, signal)) }
}

function findTooOld(partitions: readonly Partition[], retention: Retention, now: Date): readonly Partition[] {
  return partitions.filter(({ name }) => isTooOld(readPartitionName(name), retention, now))
}

/** Creates the partitions that are missing for today and the next days. */
export async function makeRoom(execute: Execute, schema: string, now?: Date): Promise<void> {
  const today = dayOf(now ?? (await readClock(execute)))
  await createPartitions(execute, ownSchema(schema), { from: today - 1, to: today + DAYS_AHEAD })
}

/**
 * Removes partitions, outside of transactions: detaching one waits for the transactions that read the ledger.
 *
 * @param signal ends the removal after the current statement; another call continues there
 * @returns the names of the removed partitions
 */
export async function dropPartitions(
  execute: Execute,
  schema: string,
  partitions: readonly Partition[],
  signal?: AbortSignal
): Promise<string[]> {
  const own = ownSchema(schema)
  const isDetaching = ({ state }: Partition): boolean => state === 'detaching'
  const dropped: string[] = []
  // The server detaches one partition at a time, and starts none before the last has finished.
  for (const { name, state } of partitions.toSorted((a, b) => Number(isDetaching(b)) - Number(isDetaching(a)))) {
    signal?.throwIfAborted()
    if (state === 'attached') await detachPartition(execute, own, name)
    if (state === 'detaching') await finishDetaching(execute, own, name)
    await dropPartition(execute, own, name)
    dropped.push(name)
  }
  return dropped
}
