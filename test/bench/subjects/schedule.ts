import type { System } from '../report.ts'
import { readSettings, tell } from './messages.ts'
import { openClientOf, payload } from './system.ts'

/** What the process gets. */
export interface ScheduleSettings {
  system: System
  url: string
  /** For how long to schedule one by one. */
  durationMs: number
  /** How many calls to make at once after that. */
  atOnce: number
  /** How many jobs then to schedule in batches of 500, and how many in a single one. */
  batched: number
  bulk: number
}

/** What it finds out: jobs a second. */
export interface ScheduleResult {
  oneByOne: number
  concurrent: number
  batches: number
  bulk: number
}

// An application that only schedules.
const { system, url, durationMs, atOnce, batched, bulk } = readSettings<ScheduleSettings>()
const client = await openClientOf(system, url)
let scheduled = 0

async function scheduleOneByOne(isOver: (calls: number) => boolean): Promise<void> {
  for (let calls = 0; !isOver(calls); calls++) {
    await client.schedule('Trivial', payload)
    scheduled++
  }
}

async function scheduleAtOnce(count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, () => client.schedule('Trivial', payload)))
  scheduled += count
}

async function scheduleBatches(count: number, size: number): Promise<void> {
  for (let left = count; left > 0; left -= size) {
    const batch = Array.from({ length: size }, () => payload)
    await client.scheduleMany('Trivial', batch)
    scheduled += size
  }
}

async function rateOf(work: () => Promise<void>): Promise<number> {
  const before = { scheduled, ms: performance.now() }
  await work()
  return ((scheduled - before.scheduled) / (performance.now() - before.ms)) * 1_000
}

await scheduleOneByOne(calls => calls === 50)
const untilMs = performance.now() + durationMs
const oneByOne = await rateOf(() => scheduleOneByOne(() => performance.now() > untilMs))
await scheduleAtOnce(atOnce / 10)
const concurrent = await rateOf(() => scheduleAtOnce(atOnce))
await scheduleBatches(5_000, 500)
const batches = await rateOf(() => scheduleBatches(batched, 500))
const result: ScheduleResult = { oneByOne, concurrent, batches, bulk: await rateOf(() => scheduleBatches(bulk, bulk)) }

const found = await client.count()
if (found !== scheduled) throw new Error(`Cannot trust ${system}: ${scheduled} jobs were scheduled, ${found} are there`)
await tell({ result })
