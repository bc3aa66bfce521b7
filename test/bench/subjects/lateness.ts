import type { System } from '../report.ts'
import { readSettings, tell } from './messages.ts'
import { openClientOf, startWorkerOf } from './system.ts'

/** What the process gets. */
export interface LatenessSettings {
  system: System
  url: string
  /** The delays of the jobs that it schedules itself. */
  delaysMs: readonly number[]
  /** How many jobs others schedule. */
  others: number
  /** How many jobs fail once, to be retried after a second. */
  retries: number
}

/** What it finds out: how long after their time the jobs began. */
export interface LatenessResult {
  lateMs: number[]
  retriesLateMs: number[]
}

// An idle worker; each job's payload says when it is due.
const { system, url, delaysMs, others, retries } = readSettings<LatenessSettings>()
const nowMs = (): number => performance.timeOrigin + performance.now()
const lateMs: number[] = []
const retriesLateMs: number[] = []
const failedMs = new Map<number, number>()
const finished = Promise.withResolvers<void>()
const settle = (): void => {
  if (lateMs.length === delaysMs.length + others && retriesLateMs.length === retries) finished.resolve()
}
const Trivial = async (payload: unknown): Promise<void> => {
  lateMs.push(nowMs() - (payload as { dueMs: number }).dueMs)
  settle()
}
const Flaky = async (payload: unknown): Promise<void> => {
  const { n } = payload as { n: number }
  const before = failedMs.get(n)
  if (before === undefined) {
    failedMs.set(n, nowMs())
    throw new Error('not yet')
  }
  retriesLateMs.push(nowMs() - before - BACKOFF_MS)
  settle()
}
const BACKOFF_MS = 1_000

await startWorkerOf(system, { url, tasks: { Trivial, Flaky }, backoffMs: BACKOFF_MS })
await tell({ ready: true })
await using client = await openClientOf(system, url)
for (const delayMs of delaysMs) {
  const dueMs = Date.now() + delayMs
  await client.schedule('Trivial', { dueMs }, new Date(dueMs))
}
for (let n = 0; n < retries; n++) await client.schedule('Flaky', { n })
await finished.promise
const result: LatenessResult = { lateMs, retriesLateMs }
await tell({ result })
