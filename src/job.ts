import type { Duration } from './duration.ts'
import type { Queue } from './queue.ts'
import type { JobState } from './rules/states.ts'

/** A job as the database stores it. */
export interface Job {
  /** The database's identity of the job, a `bigint` as text. */
  readonly id: string
  /** The name of the task that runs it. */
  readonly task: string
  /** The name of the job's queue, or `null` without one. */
  readonly queue: string | null
  /** Jobs of a lower number run first. */
  readonly priority: number
  /** The job does not run before this time. */
  readonly runAt: Date
  /** How many attempts have begun. */
  readonly attempts: number
  /** After this many failed attempts the job stays failed. */
  readonly maxAttempts: number
  /** The key that identifies the job among waiting jobs, or `null`. */
  readonly key: string | null
  /** When it was scheduled. */
  readonly scheduledAt: Date
  /** The name of the recurring job that has scheduled it, or `null`. */
  readonly schedule: string | null
  /** The occurrence of the recurring job that has scheduled it, to the millisecond, or `null`. */
  readonly occurrence: Date | null
}

/** A job that has not ended. */
export interface ListedJob extends Job {
  /** What the job is doing. */
  readonly state: JobState
  /** The task's payload. */
  readonly payload: unknown
  /** When a worker fetched the job, or `null`. */
  readonly fetchedAt: Date | null
  /** The worker that has the job, or `null`. */
  readonly worker: string | null
  /** The error of the last failed attempt, or `null`. */
  readonly error: string | null
  /** The progress of the run, from 0 to 1, or `null` if the job does not run or reports none. */
  readonly progress: number | null
  /** The message that came with the progress, or `null`. */
  readonly progressMessage: string | null
  /** When the job changed last. */
  readonly updatedAt: Date
}

/**
 * A job that you have scheduled. Printed, compared or written as JSON, it is a plain {@linkcode Job}.
 *
 * @typeParam Output the task's return value, after JSON
 */
export interface ScheduledJob<Output = unknown> extends Job {
  /**
   * Waits until the job has ended. You can wait for any number of jobs at a time: they share one connection, which is open
   * while you wait.
   *
   * @returns the task's return value after JSON, so that a Date is a string; `undefined` if there is none
   * @throws {BackgroundError} `JOB_FAILED` if the job has failed for good, with the task's error as its `cause`;
   * `JOB_CANCELLED`; `RESULT_NOT_KEPT` if the job has succeeded and its result is too large or nothing that JSON can hold;
   * `JOB_GONE` if the job was deleted, or its end is not kept; `TIMEOUT`, which does not change the job; `CLOSED`
   * @throws the `signal`'s reason
   * @example
   * ```ts
   * import { Background, type Task } from 'kretes'
   * import { startWorker } from 'kretes/worker'
   *
   * const Add: Task<{ a: number; b: number }, number> = async ({ a, b }) => a + b
   * const worker = await startWorker({ tasks: { Add } })
   * const job = await Background.schedule({ task: Add, payload: { a: 1, b: 2 } })
   * console.log(await job.result({ timeout: '30s' }))
   * await worker.stop()
   * ```
   */
  result(options?: ResultOptions): Promise<Output>
}

/** Options of a wait for a result. */
export interface ResultOptions {
  /**
   * The longest wait: milliseconds, `'30s'`, `{ minutes: 5 }`. It includes the time in which the job waits for a worker.
   *
   * @default none
   */
  timeout?: Duration
  /**
   * Ends the wait when it aborts.
   *
   * @default none
   */
  signal?: AbortSignal
}

/** Options that a call, a task and a Background can set. The call wins over the task, and the task over the Background. */
export interface JobDefaults {
  /**
   * The queue. Its jobs run one after another, or as many at a time as its `concurrency`; `null` for none.
   *
   * @default none: the job runs in parallel
   */
  queue?: Queue | null
  /**
   * Jobs of a lower number run first: a whole number from -32,768 to 32,767.
   *
   * @default 0
   */
  priority?: number
  /**
   * After how many failed attempts the job stays failed: a whole number from 1 to 32,767.
   *
   * @default 25
   */
  maxAttempts?: number
}

/**
 * What a call does if a job with the same key exists:
 *
 * - `replace`: replaces a waiting job, its payload and its time included. This is debouncing.
 * - `preserveRunAt`: the same, but the job keeps its time unless an attempt has failed. This is throttling.
 * - `unsafeDedupe`: does nothing, even if the job runs or has failed for good. The payload of this call is lost.
 *
 * In the first two modes, a job that runs or has failed for good loses its key and is not retried, and a new job is added.
 */
export type KeyMode = 'replace' | 'preserveRunAt' | 'unsafeDedupe'

/**
 * The outcome of cancelling a job:
 *
 * - `removed`: no worker had the job, and it is gone.
 * - `cancelling`: a worker has the job and was told to stop it.
 * - `not found`: there is no such job. It has ended, was removed, or never existed.
 */
export type Cancellation = 'removed' | 'cancelling' | 'not found'
