import type { System } from '../report.ts'
import { readSettings, tell } from './messages.ts'
import { startWorkerOf } from './system.ts'

/** What the process gets. */
export interface LatenessSettings {
  system: System
  url: string
  count: number
}

/** What it finds out: how long after their time the jobs began. */
export interface LatenessResult {
  lateMs: number[]
}

// An idle worker; each job's payload says when it is due.
const { system, url, count } = readSettings<LatenessSettings>()
const lateMs: number[] = []
const finished = Promise.withResolvers<void>()
const Trivial = async (payload: unknown): Promise<void> => {
  lateMs.push(performance.timeOrigin + performance.now() - (payload as { dueMs: number }).dueMs)
  if (lateMs.length === count) finished.resolve()
}
await startWorkerOf(system, { url, tasks: { Trivial } })
await tell({ ready: true })
await finished.promise
const result: LatenessResult = { lateMs }
await tell({ result })
