import type { Duration } from './duration.ts'
import type { Queue } from './queue.ts'
import type { JobState } from './rules/states.ts'

/** A job as the database holds it. */
export interface Job {
  /** The database's identity of the job, a `bigint` as text. */
  readonly id: string
  /** The name of the task that runs it. */
  readonly task: string
  /** The queue whose jobs run one after another, or `null` for a job that runs in parallel. */
  readonly queue: string | null
  /** Lower runs first. */
  readonly priority: number
  /** Not before this time. */
  readonly runAt: Date
  /** How many attempts have begun. */
  readonly attempts: number
  /** After this many failed attempts the job stays failed. */
  readonly maxAttempts: number
  /** The key that identifies it among waiting jobs, or `null`. */
  readonly key: string | null
  /** When it was scheduled. */
  readonly scheduledAt: Date
}

/** A job that has not ended. */
export interface ListedJob {
  /** The database's identity of the job, a `bigint` as text. */
  readonly id: string
  /** The name of the task. */
  readonly task: string
  /** The queue whose jobs run one after another, or `null`. */
  readonly queue: string | null
  /** The key that identifies the job among waiting jobs, or `null`. */
  readonly key: string | null
  /** What the job is doing. */
  readonly state: JobState
  /** The task's payload. */
  readonly payload: unknown
  /** Jobs of a lower number run first. */
  readonly priority: number
  /** How many attempts have begun. */
  readonly attempts: number
  /** After this many failed attempts the job stays failed. */
  readonly maxAttempts: number
  /** When the job was scheduled. */
  readonly scheduledAt: Date
  /** The job does not run before this time. */
  readonly runAt: Date
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
 * A job that was scheduled here. Printed, compared or written as JSON, it is but the job.
 *
 * @typeParam Output what JSON makes of what the task returns
 */
export interface ScheduledJob<Output = unknown> extends Job {
  /**
   * Waits until the job has ended. Any number of jobs may be waited for at a time: all share one connection, which is
   * opened for it and closed when nobody waits.
   *
   * @returns what the task returned, as JSON holds it: a Date is a string by then; `undefined` if there was nothing
   * @throws {BackgroundError} `JOB_FAILED` if the job has failed for good, with the task's error as its `cause`;
   * `JOB_CANCELLED`; `RESULT_NOT_KEPT` if the job has succeeded and its result is too large or nothing that JSON can hold;
   * `JOB_GONE` if the job was deleted, or how it ended is not kept; `TIMEOUT`, which leaves the job as it is; `CLOSED`
   * @throws the `signal`'s reason
   * @example
   * ```ts
   * import { Background, type Task } from 'kretes'
   * import { startWorker } from 'kretes/worker'
   *
   * const Add: Task<{ a: number; b: number }, number> = async ({ a, b }) => a + b
   * await using worker = await startWorker({ tasks: { Add } })
   * const job = await Background.schedule({ task: Add, payload: { a: 1, b: 2 } })
   * console.log(await job.result({ timeout: '30s' }))
   * ```
   */
  result(options?: ResultOptions): Promise<Output>
}

/** How long to wait for a result. */
export interface ResultOptions {
  /**
   * How long at most: milliseconds, `'30s'`, `{ minutes: 5 }`. Time in which the job waits for a worker counts.
   *
   * @default none: until the job has ended, whenever that is
   */
  timeout?: Duration
  /**
   * Gives up when it aborts.
   *
   * @default none
   */
  signal?: AbortSignal
}

/**
 * What a job gets unless its call of `schedule` says otherwise. A call wins over the task's definition, and that over
 * the `defaults` of the Background.
 */
export interface JobDefaults {
  /**
   * The queue on which the job waits for the one before it; `null` for none.
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
 * What happens if a job with the same key exists:
 *
 * - `replace`: one that waits becomes this one, with its payload, its time and all. This is debouncing.
 * - `preserveRunAt`: the same, but the job keeps its time unless it has failed already. This is throttling.
 * - `unsafeDedupe`: it stays as it is, even if it runs or has failed for good, and this call adds nothing: what it
 *   knew that the other did not is lost.
 *
 * In the first two, a job that runs or has failed for good loses its key, is not tried again, and a new one is added.
 */
export type KeyMode = 'replace' | 'preserveRunAt' | 'unsafeDedupe'
