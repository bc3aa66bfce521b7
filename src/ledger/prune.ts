import { type Folding, foldCounters, removeCounters } from '../sql/ledger/counters.ts'
import { createPartitions, dayOf, partitionOf } from '../sql/ledger/partitions.ts'
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
import type { Retention } from '../sql/worker/workers.ts'

/** What {@linkcode pruneLedger} goes by. */
export interface PruneSettings extends Retention {
  /**
   * What counts as now.
   *
   * @default the time of the database
   */
  readonly now?: Date
}

/** What {@linkcode pruneLedger} did. */
export interface Pruning {
  /** The partitions that are gone, each a day of runs. */
  readonly dropped: string[]
  /** By how many the rows of counters became fewer. */
  readonly folded: number
}

/** What {@linkcode tidyLedger} did, and what is left to do. */
export interface Tidying {
  readonly folded: number
  /** Whether there is more to fold: the signal has aborted. */
  readonly isBehind: boolean
  /** Partitions that are too old, for {@linkcode dropPartitions}. */
  readonly due: readonly Partition[]
}

/**
 * Makes room in the ledger for the days to come and removes what is older than it has to be kept. Nobody who reads or
 * writes runs meanwhile waits for it; it waits for transactions that have read what it removes.
 */
export async function pruneLedger(
  connections: Connections,
  schema: string,
  retention: PruneSettings
): Promise<Pruning> {
  const tidied = await tidyLedger(connections, schema, retention)
  const dropped = await dropPartitions(connections.execute, schema, tidied?.due ?? [])
  return { dropped, folded: tidied?.folded ?? 0 }
}

/**
 * All of it that takes but a moment, or many short ones.
 *
 * @param signal ends the folding of counters after the part at hand; another call goes on from there
 * @returns nothing if somebody else does it at this moment
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
    const { successesMs, failuresMs } = retention
    if (successesMs !== null && failuresMs !== null) {
      await removeCounters(execute, own, ago(now, Math.max(successesMs || 0, failuresMs || 0, DAY_MS)).toISOString())
    }
    return { now, due: findDue(await listPartitions(execute, own), retention, now) }
  })
  return tidied && { due: tidied.due, ...(await foldAll(connections, own, tidied.now, signal)) }
}

/** Those of the partitions that hold nothing but what is older than it has to be kept. */
export function findDue(
  partitions: readonly Partition[],
  { successesMs, failuresMs }: Retention,
  now: Date
): readonly Partition[] {
  return partitions.filter(({ name }) => {
    const keptMs = name.endsWith('_failures') ? failuresMs : successesMs
    return keptMs !== null && name < partitionOf(dayOf(ago(now, Math.max(keptMs || 0, DAY_MS))), false)
  })
}

/** Part by part, each in a transaction of its own: none takes long, nor is undone with another. */
async function foldAll(
  { transact }: Connections,
  own: string,
  now: Date,
  signal: AbortSignal | undefined
): Promise<Pick<Tidying, 'folded' | 'isBehind'>> {
  let folded = 0
  for (const folding of foldings(now)) {
    for (let isMore = true; isMore; ) {
      if (signal?.aborted) return { folded, isBehind: true }
      const part = await transact(async execute =>
        (await lockUpkeep(execute, own)) ? await foldCounters(execute, own, folding) : undefined
      )
      if (!part) return { folded, isBehind: false }
      folded += part.from - part.to
      isMore = part.from >= folding.limit
    }
  }
  return { folded, isBehind: false }
}

/** Minutes that are over become one row each, and so do hours after a day; of queues earlier, since there are more. */
function foldings(now: Date): readonly Folding[] {
  const hour = (before: Date): string => new Date(Math.floor(before.getTime() / HOUR_MS) * HOUR_MS).toISOString()
  const limit = FOLDED_AT_ONCE
  return [
    { table: 'queue_counters', unit: 'minute', before: null, limit },
    { table: 'counters', unit: 'minute', before: ago(now, 2 * MINUTE_MS).toISOString(), limit },
    { table: 'queue_counters', unit: 'hour', before: hour(ago(now, HOUR_MS)), limit },
    { table: 'counters', unit: 'hour', before: hour(ago(now, DAY_MS)), limit }
  ]
}

/** Sees to it that runs can be recorded today and in the days to come. */
export async function makeRoom(execute: Execute, schema: string, now?: Date): Promise<void> {
  const today = dayOf(now ?? (await readClock(execute)))
  await createPartitions(execute, ownSchema(schema), { from: today - 1, to: today + DAYS_AHEAD })
}

/**
 * Removes partitions. Not in a transaction: each is first taken out of the ledger, which waits for those who read it.
 *
 * @param signal ends it after the statement at hand; another call goes on from there
 * @returns the names of those that are gone
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
  // The server detaches one at a time, and lets none begin before the last has ended.
  for (const { name, state } of partitions.toSorted((a, b) => Number(isDetaching(b)) - Number(isDetaching(a)))) {
    signal?.throwIfAborted()
    if (state === 'attached') await detachPartition(execute, own, name)
    if (state === 'detaching') await finishDetaching(execute, own, name)
    await dropPartition(execute, own, name)
    dropped.push(name)
  }
  return dropped
}

function ago(now: Date, ms: number): Date {
  return new Date(now.getTime() - ms)
}

/** Takes the server about a tenth of a second. */
const FOLDED_AT_ONCE = 20_000

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000
