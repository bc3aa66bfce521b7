import type { RunState } from './rules/states.ts'

/** A run: one attempt at a job, after its end. */
export interface Run {
  /** The job's id. */
  readonly job: string
  /** The name of the task. */
  readonly task: string
  /** The queue, or `null`. */
  readonly queue: string | null
  /** The job's key, or `null`. */
  readonly key: string | null
  /** How the run ended. */
  readonly state: RunState
  /** The number of the attempt, from 1; 0 for a job that was cancelled before its first attempt. */
  readonly attempt: number
  /** After this many failed attempts the job stays failed. */
  readonly maxAttempts: number
  /** The job's priority. */
  readonly priority: number
  /** When the job was scheduled. */
  readonly scheduledAt: Date
  /** The name of the recurring job that has scheduled it, or `null`. */
  readonly schedule: string | null
  /** The occurrence of the recurring job, or `null`. */
  readonly occurrence: Date | null
  /** When the job was due. */
  readonly runAt: Date
  /** When the run began, or `null` if it never did. */
  readonly startedAt: Date | null
  /** When the run ended. */
  readonly finishedAt: Date
  /** How many milliseconds the job waited after it was due, or `null` if the run never began. */
  readonly waitedMs: number | null
  /** How many milliseconds the run took, or `null` if it never began. */
  readonly tookMs: number | null
  /** The worker, or `null`. */
  readonly worker: string | null
  /** What went wrong, or `null`. */
  readonly error: RunError | null
  /** The task's return value, or `null` if there is none or it is not kept. */
  readonly result: unknown
  /** The task's payload, or `null` if it is not kept. */
  readonly payload: unknown
  /** The lines that the task logged, or `null` if there are none. */
  readonly log: unknown
  /** The trace that the run belongs to, or `null`. */
  readonly traceId: string | null
  /** Whether the job ended with this run. After a failure: whether the job had failed for good. */
  readonly isOver: boolean
  /** Why the result is not kept, or `null`. */
  readonly resultProblem: string | null
}

/** The error of a run. */
export interface RunError {
  /** The error's name, such as `TypeError`. */
  readonly name?: string
  /** What went wrong. */
  readonly message?: string
  /** Where it went wrong. */
  readonly stack?: string
  /** The error behind this one. */
  readonly cause?: unknown
}
