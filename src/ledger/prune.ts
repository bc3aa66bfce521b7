import type { Sql } from 'postgres'
import { createPartitions, dayOf, partitionOf } from '../sql/ledger/partitions.ts'
import { DAYS_AHEAD } from '../sql/ledger/schema.ts'
import {
  detachPartition,
  dropPartition,
  finishDetaching,
  foldCounters,
  listPartitions,
  lockUpkeep,
  type Partition,
  removeCounters,
  removeStale
} from '../sql/ledger/upkeep.ts'
import { ownSchema } from '../sql/names.ts'
import type { Retention } from '../sql/workers.ts'

/** What {@linkcode pruneLedger} goes by. */
export interface PruneSettings extends Retention {
  /**
   * What counts as now.
   *
   * @default the time of this process
   */
  readonly now?: Date
}

/** What {@linkcode pruneLedger} did. */
export interface Pruning {
  /** The partitions that are gone, each a day of runs. */
  readonly dropped: string[]
  /** How many rows of counters were folded into fewer. */
  readonly folded: number
}

/** What {@linkcode tidyLedger} did, and what is left to do. */
export interface Tidying {
  readonly folded: number
  /** Partitions that are too old, for {@linkcode dropPartitions}. */
  readonly due: readonly Partition[]
}

/**
 * Makes room in the ledger for the days to come and removes what is older than it has to be kept. Nobody who reads or
 * writes runs meanwhile waits for it; it waits for transactions that have read what it removes.
 */
export async function pruneLedger(sql: Sql, schema: string, retention: PruneSettings): Promise<Pruning> {
  const tidied = await tidyLedger(sql, schema, retention, { isThorough: true })
  const dropped = await dropPartitions(sql, schema, tidied?.due ?? [])
  return { dropped, folded: tidied?.folded ?? 0 }
}

/**
 * All of it that takes but a moment.
 *
 * @param how.isThorough whether to fold all counters, not only those of the minutes just past
 * @returns nothing if somebody else does it at this moment
 */
export async function tidyLedger(
  sql: Sql,
  schema: string,
  retention: PruneSettings,
  { isThorough }: { readonly isThorough: boolean }
): Promise<Tidying | undefined> {
  const { successesMs, failuresMs, now = new Date() } = retention
  const own = ownSchema(schema)
  const ago = (ms: number): Date => new Date(now.getTime() - ms)
  return await sql.begin(async transaction => {
    if (!(await lockUpkeep(transaction, own))) return undefined
    await makeRoom(transaction as unknown as Sql, schema, now)
    await removeStale(transaction, own, schema)
    const sinceMinutes = ago(isThorough ? 2 * DAY_MS : 15 * MINUTE_MS)
    const sinceHours = isThorough ? new Date(0) : ago(DAY_MS + 3 * HOUR_MS)
    const untilHours = new Date(Math.floor(ago(DAY_MS).getTime() / HOUR_MS) * HOUR_MS)
    const folded =
      (await foldCounters(transaction, own, { unit: 'hour', from: sinceHours, to: untilHours })) +
      (await foldCounters(transaction, own, {
        unit: 'minute',
        from: sinceMinutes > untilHours ? sinceMinutes : untilHours,
        to: ago(2 * MINUTE_MS)
      }))
    if (successesMs !== null && failuresMs !== null) {
      await removeCounters(transaction, own, ago(Math.max(successesMs || 0, failuresMs || 0, DAY_MS)))
    }
    const due = (await listPartitions(transaction, own)).filter(partition => {
      const keptMs = partition.name.endsWith('_failures') ? failuresMs : successesMs
      return keptMs !== null && partition.name < partitionOf(dayOf(ago(Math.max(keptMs || 0, DAY_MS))), false)
    })
    return { folded, due }
  })
}

/** Sees to it that runs can be recorded today and in the days to come. */
export async function makeRoom(sql: Sql, schema: string, now: Date = new Date()): Promise<void> {
  const today = dayOf(now)
  await createPartitions(sql, ownSchema(schema), { from: today - 1, to: today + DAYS_AHEAD })
}

/**
 * Removes partitions. Not in a transaction: each is first taken out of the ledger, which waits for those who read it.
 *
 * @returns the names of those that are gone
 */
export async function dropPartitions(sql: Sql, schema: string, partitions: readonly Partition[]): Promise<string[]> {
  const own = ownSchema(schema)
  const isDetaching = ({ state }: Partition): boolean => state === 'detaching'
  const dropped: string[] = []
  // The server detaches one at a time, and lets none begin before the last has ended.
  for (const { name, state } of partitions.toSorted((a, b) => Number(isDetaching(b)) - Number(isDetaching(a)))) {
    if (state === 'attached') await detachPartition(sql, own, name)
    if (state === 'detaching') await finishDetaching(sql, own, name)
    await dropPartition(sql, own, name)
    dropped.push(name)
  }
  return dropped
}

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000
