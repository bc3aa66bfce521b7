import type { System } from '../report.ts'

/** A task of a benchmark, the same function for all systems. */
export type BenchTask = (payload: unknown) => Promise<void>

/** What a worker is started with. The number of jobs at a time is the same for all. */
export interface WorkerSettings {
  url: string
  tasks: Record<string, BenchTask>
  /** Whether jobs that are done are kept; asked only of systems that leave the choice. */
  keepsDone?: boolean | undefined
  /** How long failed jobs wait; asked only of systems that leave the choice. */
  backoffMs?: number
}

/** Schedules jobs one way or the other, with as many connections as the others where it has a pool. */
export interface Client extends AsyncDisposable {
  /** For at once, or for later where the lateness of a system is measured. */
  schedule(task: string, payload: Record<string, unknown>, runAt?: Date): Promise<unknown>
  scheduleMany(task: string, payloads: readonly Record<string, unknown>[]): Promise<unknown>
  /** How many jobs wait or run. */
  count(): Promise<number>
}

/** What a system is asked to do. */
export interface SystemModule {
  /** Starts a worker that says nothing. */
  startWorker(settings: WorkerSettings, system: System): Promise<void>
  openClient(url: string, system: System): Promise<Client>
}

/** kretes' default; graphile-worker's, pg-boss' and BullMQ's own is 1. */
export const CONCURRENCY = 10

/** How many connections a client may open. */
export const POOL = 4
