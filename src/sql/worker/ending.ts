import type { RunState } from '../../rules/states.ts'

/**
 * What became of a run: what is written of it, and what happens to its job. Times are spans, so that all that is written
 * is by the database's clock.
 */
export interface Ending {
  /** The job. */
  readonly id: string
  readonly attempt: number
  /** When the run's lock was taken, in milliseconds since 1970. It tells the run from others of the same job. */
  readonly lockedAtMs: number
  /** Whether the job is on a named queue. */
  readonly isQueued: boolean
  readonly state: RunState
  /** How long it ran, in milliseconds; `null` if it never began. */
  readonly durationMs: number | null
  /** When it ended, by this process's `performance.now()`. */
  readonly endedMs: number
  /** The error of the task, as JSON text. */
  readonly error: string | null
  /** What its task returned, as JSON text. */
  readonly result: string | null
  /** Why that is not kept. */
  readonly problem: string | null
  /** The payload of the job, as JSON text, if that is to be kept. */
  readonly payload: string | null
  /** The lines that it logged, as a JSON text. */
  readonly log: string | null
  /** Whether an earlier run of its job has failed, perhaps for good until somebody retried it. */
  readonly isAfterFailure: boolean
  /** Whether the ledger records it. */
  readonly isRecorded: boolean
  readonly next: Next
}

/** What happens to a job after a run. */
export type Next =
  /** It is over, and its row goes. */
  | { readonly kind: 'remove' }
  /** It stays as failed, whatever is left of its attempts. */
  | { readonly kind: 'fail'; readonly reason: string }
  /** It runs again so long after the run ended. */
  | { readonly kind: 'retry'; readonly reason: string; readonly delayMs: number }
  /** It runs again, and the attempt does not count: after a delay, at a time in ISO 8601, or when it was due before. */
  | { readonly kind: 'wait'; readonly delayMs?: number | undefined; readonly runAt?: string | undefined }

/** How long ago a run ended. One that could not be written for longer counts as half a day old: the ledger has room there. */
export function agoOf({ endedMs }: Pick<Ending, 'endedMs'>, nowMs: number): number {
  return Math.min(Math.round((nowMs - endedMs) * 10) / 10, HALF_A_DAY_MS)
}

const HALF_A_DAY_MS = 43_200_000
