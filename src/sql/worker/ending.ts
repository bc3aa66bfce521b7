import type { RunState } from '../../rules/states.ts'

/**
 * How a run ended: the data to write, and the next step for the job. Times are durations, so that the database's clock
 * decides all written times.
 */
export interface Ending {
  /** The id of the job. */
  readonly id: string
  readonly attempt: number
  /**
   * The time at which the run's lock was taken, in milliseconds since 1970. It identifies the run among all runs of the
   * job.
   */
  readonly lockedAtMs: number
  /** Whether the job has a named queue. */
  readonly isQueued: boolean
  /** Whether the queue stays locked, because the worker goes on with the next job of the queue. */
  readonly keepsQueue?: boolean
  readonly state: RunState
  /** The duration of the run in milliseconds; `null` if the run never began. */
  readonly durationMs: number | null
  /** The time at which the run ended, by `performance.now()` of this process. */
  readonly endedMs: number
  /** The error of the task, as JSON text. */
  readonly error: string | null
  /** The value that the task returned, as JSON text. */
  readonly result: string | null
  /** The reason why the result is not kept. */
  readonly problem: string | null
  /** The payload of the job, as JSON text, if it is to be kept. */
  readonly payload: string | null
  /** The lines that the run logged, as JSON text. */
  readonly log: string | null
  /** Whether an earlier run of the job has failed. */
  readonly isAfterFailure: boolean
  /** Whether the ledger records the run. */
  readonly isRecorded: boolean
  readonly next: Next
}

/** The next step for a job after a run. */
export type Next =
  /** The job is over, and its row is removed. */
  | { readonly kind: 'remove' }
  /** The job stays as failed, even if it has attempts left. */
  | { readonly kind: 'fail'; readonly reason: string }
  /** The job runs again after a delay from the end of the run. */
  | { readonly kind: 'retry'; readonly reason: string; readonly delayMs: number }
  /**
   * The job runs again, and the attempt does not count. It runs after a delay, at a time in ISO 8601, or when it was
   * due before.
   */
  | {
      readonly kind: 'wait'
      readonly delayMs?: number | undefined
      readonly runAt?: string | undefined
      readonly holds?: Hold | undefined
    }

/** A limit of which no jobs begin for a while: for a time from the end of the run, or until a time in ISO 8601. */
export interface Hold {
  /** The name of the limit in the database. If it has keys, only the key of the job is held. */
  readonly limit: string
  readonly isKeyed: boolean
  readonly delayMs?: number | undefined
  readonly until?: string | undefined
}

/**
 * How many milliseconds ago a run ended. If a run could not be written for longer than half a day, it counts as half a
 * day old, because the ledger has partitions for that time.
 */
export function agoOf({ endedMs }: Pick<Ending, 'endedMs'>, nowMs: number): number {
  return Math.min(Math.round((nowMs - endedMs) * 10) / 10, HALF_A_DAY_MS)
}

const HALF_A_DAY_MS = 43_200_000
