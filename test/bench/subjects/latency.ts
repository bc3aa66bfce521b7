import { setTimeout as sleep } from 'node:timers/promises'
import type { System } from '../report.ts'
import { seeded } from '../statistics.ts'
import { readSettings, tell } from './messages.ts'
import { openClientOf, startWorkerOf } from './system.ts'

/** What the process gets. */
export interface LatencySettings {
  system: System
  url: string
  count: number
}

/** What it finds out: from the call that schedules to the task's first line, for each job. */
export interface LatencyResult {
  startsMs: number[]
}

// A client and an idle worker in one process, for the sake of one clock; they share nothing else.
const { system, url, count } = readSettings<LatencySettings>()
let started = Promise.withResolvers<number>()
const Trivial = async (): Promise<void> => started.resolve(performance.now())
await startWorkerOf(system, { url, tasks: { Trivial } })
const client = await openClientOf(system, url)
const random = seeded(1)
const warmUp = 20

const startsMs: number[] = []
for (let number = -warmUp; number < count; number++) {
  started = Promise.withResolvers()
  const scheduledMs = performance.now()
  await client.schedule('Trivial', {})
  const startMs = (await started.promise) - scheduledMs
  if (number >= 0) startsMs.push(startMs)
  // Time for the worker to write off the job and to fall idle.
  await sleep(5 + random() * 15)
}
const result: LatencyResult = { startsMs }
await tell({ result })
