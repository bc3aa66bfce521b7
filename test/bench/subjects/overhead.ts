import postgres from 'postgres'
import { median } from '../statistics.ts'
import { readSettings, tell } from './messages.ts'
import { openClientOf, payload } from './system.ts'

/** What the process gets. */
export interface OverheadSettings {
  url: string
  count: number
}

/** What it finds out: milliseconds a call. */
export interface OverheadResult {
  scheduleMs: number
  directMs: number
}

// Both in one process and in turns, each on one warm connection with nothing else under way.
const { url, count } = readSettings<OverheadSettings>()
const client = await openClientOf('kretes', url)
const sql = postgres(url, { max: 1 })
const calls = [
  () => client.schedule('Trivial', payload),
  () => sql`
    select * from graphile_worker.add_job(identifier => ${'Trivial'}::text, payload => ${JSON.stringify(payload)}::text::json)`
] as const
const tookMs: [number[], number[]] = [[], []]
const warmUp = 200

for (let number = -warmUp; number < count; number++) {
  // Neither always comes after the other's commit.
  for (const index of number % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
    const startedMs = performance.now()
    await calls[index]()
    if (number >= 0) tookMs[index].push(performance.now() - startedMs)
  }
}
const result: OverheadResult = { scheduleMs: median(tookMs[0]), directMs: median(tookMs[1]) }
await tell({ result })
