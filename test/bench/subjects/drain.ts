import type { System } from '../report.ts'
import type { BenchTask } from './contract.ts'
import { readSettings, tell } from './messages.ts'
import { startWorkerOf } from './system.ts'

/** What the process gets: jobs are counted until there were `count`, or the time is over. */
export interface DrainSettings {
  system: System
  url: string
  count: number
  /** The jobs of this many are run before the clock starts, if as many run in time. */
  warmUp: number
  limitMs: number
  /** Whether jobs that are done are kept, where that can be chosen. */
  keepsDone?: boolean
}

/** What it finds out. */
export interface DrainResult {
  ran: number
  /** Jobs a second. */
  rate: number
  /** This process's own time on the processor, for each job. */
  cpuMicros: number
}

// A worker in a process of its own that measures how fast it runs the jobs of the task Trivial.
const { system, url, count, warmUp, limitMs, keepsDone } = readSettings<DrainSettings>()
let ran = 0
let from = { ran: 0, ms: performance.now(), cpu: process.cpuUsage() }
const finished = Promise.withResolvers<void>()

const Trivial: BenchTask = async () => {
  ran++
  if (ran === warmUp) from = { ran, ms: performance.now(), cpu: process.cpuUsage() }
  if (ran === count) finished.resolve()
}
const Backlog: BenchTask = async () => {}

await startWorkerOf(system, { url, tasks: { Trivial, Backlog }, keepsDone })
if (ran === 0) from = { ran: 0, ms: performance.now(), cpu: process.cpuUsage() }
await tell({ ready: true })
setTimeout(finished.resolve, limitMs)
await finished.promise

const counted = ran - from.ran
const { user, system: kernel } = process.cpuUsage(from.cpu)
const result: DrainResult = {
  ran,
  rate: (counted / (performance.now() - from.ms)) * 1_000,
  cpuMicros: (user + kernel) / counted
}
// It goes on until it is killed, so that what has run is also written off.
await tell({ result })
