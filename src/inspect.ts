import type { Queue } from './queue.ts'
import type { Cancellation, JobReference } from './schedule.ts'
import type { AnyTask } from './task.ts'

/**
 * What a job that is not done is doing:
 *
 * - `waiting`: its time has come, and it runs as soon as a worker and its queue are free.
 * - `scheduled`: it waits for its time.
 * - `running`: a worker runs it.
 * - `retrying`: an attempt has failed, and it waits out its backoff.
 * - `failed`: it has failed for good and stays until somebody retries or deletes it.
 */
export type JobState = 'waiting' | 'scheduled' | 'running' | 'retrying' | 'failed'

/**
 * What a run has come to:
 *
 * - `succeeded`: the task ended well.
 * - `failed`: it threw.
 * - `timed out`: it took longer than it may.
 * - `cancelled`: somebody cancelled the job meanwhile.
 * - `snoozed`: the task put itself off.
 * - `released`: its worker stopped before it ended, and gave it to another.
 * - `lost`: its worker was lost.
 */
export type RunState = 'succeeded' | 'failed' | 'timed out' | 'cancelled' | 'snoozed' | 'released' | 'lost'

/** A job that is not done. */
export interface ListedJob {
  /** The database's identity of the job, a `bigint` as text. */
  readonly id: string
  /** The name of its task. */
  readonly task: string
  /** The queue whose jobs run one after another, or `null`. */
  readonly queue: string | null
  /** The key that identifies it among waiting jobs, or `null`. */
  readonly key: string | null
  /** What it is doing. */
  readonly state: JobState
  /** What its task is called with. */
  readonly payload: unknown
  /** Lower runs first. */
  readonly priority: number
  /** How many attempts have begun. */
  readonly attempts: number
  /** After this many failed attempts it stays failed. */
  readonly maxAttempts: number
  /** When it was scheduled. */
  readonly createdAt: Date
  /** Not before this time. */
  readonly runAt: Date
  /** When a worker took it, or `null`. */
  readonly fetchedAt: Date | null
  /** The worker that has it, or `null`. */
  readonly worker: string | null
  /** What its last failed attempt threw, or `null`. */
  readonly error: string | null
  /** How far it has come, from 0 to 1, or `null`: it does not run, or does not say. */
  readonly progress: number | null
  /** What it says of that, or `null`. */
  readonly progressMessage: string | null
  /** When anything of it changed. */
  readonly updatedAt: Date
}

/** An attempt at a job that has ended. */
export interface Run {
  /** The job's id. */
  readonly job: string
  /** The name of its task. */
  readonly task: string
  /** Its queue, or `null`. */
  readonly queue: string | null
  /** Its key, or `null`. */
  readonly key: string | null
  /** What it has come to. */
  readonly state: RunState
  /** Which attempt it was, from 1; 0 for a job that was cancelled before any. */
  readonly attempt: number
  /** After how many failed attempts the job stays failed. */
  readonly maxAttempts: number
  /** The job's priority. */
  readonly priority: number
  /** When the job was scheduled. */
  readonly scheduledAt: Date
  /** From when on it could run. */
  readonly readyAt: Date
  /** When it began, or `null` if it never did. */
  readonly startedAt: Date | null
  /** When it ended. */
  readonly finishedAt: Date
  /** How many milliseconds it waited from when it could run, or `null` if it never began. */
  readonly waitedMs: number | null
  /** How many milliseconds it ran, or `null` if it never began. */
  readonly tookMs: number | null
  /** The worker that ran it, or `null`. */
  readonly worker: string | null
  /** What went wrong, or `null`. */
  readonly error: RunError | null
  /** What the task returned, or `null`: nothing, or it is not kept. */
  readonly result: unknown
  /** What the task was called with, or `null` if that is not kept. */
  readonly payload: unknown
  /** What the task wrote to its logger, or `null` if that is nothing. */
  readonly log: unknown
  /** The trace it belongs to, or `null`. */
  readonly traceId: string | null
}

/** What a run threw. */
export interface RunError {
  /** As in `TypeError`. */
  readonly name?: string
  /** What went wrong. */
  readonly message?: string
  /** Where. */
  readonly stack?: string
  /** What lies behind it. */
  readonly cause?: unknown
}

/** Everything about one job. Of one that is gone, what its last run tells. */
export interface JobDetails extends Omit<ListedJob, 'state'> {
  /** What it is doing; of a job that is gone, what its last run has come to. */
  readonly state: JobState | RunState
  /** Whether it is gone: done, cancelled or deleted. */
  readonly isGone: boolean
  /** What the run under way has logged so far, or `null`: nothing, or there is none. */
  readonly log: unknown
  /** Its runs that the ledger still keeps, the latest first, at most the latest 100. */
  readonly runs: readonly Run[]
}

/** Which jobs are meant; all conditions have to hold. */
export interface JobFilter {
  /**
   * One state, or any of several.
   *
   * @default all
   */
  state?: JobState | readonly JobState[]
  /**
   * The task, or its name.
   *
   * @default all
   */
  task?: AnyTask | string
  /**
   * The queue, or its name.
   *
   * @default all, and jobs of none
   */
  queue?: Queue | string
  /**
   * Its id, or a part of its key, its task's name, its last error or its payload's JSON, in upper or lower case.
   *
   * @default anything
   */
  search?: string
}

/** Which runs are meant; all conditions have to hold. */
export interface RunFilter {
  /** The job, or its id. */
  job?: string | { readonly id: string }
  /**
   * The task, or its name.
   *
   * @default all
   */
  task?: AnyTask | string
  /**
   * The queue, or its name.
   *
   * @default all, and jobs of none
   */
  queue?: Queue | string
  /**
   * One state, or any of several.
   *
   * @default all
   */
  state?: RunState | readonly RunState[]
  /**
   * Only runs that ended at this time or later.
   *
   * @default as long as they are kept
   */
  since?: Date
  /**
   * Its job's id, or a part of its key or of its error's message, in upper or lower case. A page looks through the
   * newest 10,000 runs that the other conditions leave; its cursor goes on from there.
   *
   * @default anything
   */
  search?: string
}

/** Which page of a list. */
export interface PageOptions {
  /**
   * How many at most: a whole number from 1 to 1,000.
   *
   * @default 50
   */
  limit?: number
  /**
   * The `cursor` of the page before.
   *
   * @default the first page
   */
  cursor?: string
}

/** A page of jobs. */
export interface JobsPage {
  /** The jobs, those scheduled last first. */
  readonly jobs: readonly ListedJob[]
  /** For the next page; absent if this is the last one. */
  readonly cursor?: string
}

/** A page of runs. */
export interface RunsPage {
  /** The runs, those that ended last first. */
  readonly runs: readonly Run[]
  /** For the next page; absent if this is the last one. */
  readonly cursor?: string
}

/** The jobs of a bulk action: one or several, or those of a filter. All jobs are only meant by `{ all: true }`. */
export type JobSelection = JobReference | readonly JobReference[] | BulkFilter

/** A filter that cannot mean all jobs by accident. */
export interface BulkFilter extends JobFilter {
  /**
   * Says that all jobs are meant, where nothing else is said.
   *
   * @default false
   */
  all?: boolean
}

/** How a bulk action goes about it. */
export interface BulkOptions {
  /**
   * How many jobs at most; those scheduled first come first.
   *
   * @default all
   */
  limit?: number
  /**
   * Whether to change nothing and only count what would be.
   *
   * @default false
   */
  dryRun?: boolean
  /**
   * Told after each batch what has been done so far.
   *
   * @default none
   */
  onProgress?: (soFar: BulkResult) => void
  /**
   * Ends it after the batch that is under way; the promise then rejects with the signal's reason.
   *
   * @default none
   */
  signal?: AbortSignal
}

/** What a bulk action has done. */
export interface BulkResult {
  /** How many jobs were found that were meant; by a filter, only jobs in the states that the action is for. */
  readonly matched: number
  /** How many of them were changed; with `dryRun`, would be. */
  readonly changed: number
  /** How many of them a worker has: `cancel` has told it to stop them, everything else leaves them alone. */
  readonly running: number
  /** Those of the given jobs that are not there: ids, and keys where those were given. */
  readonly missing: readonly string[]
  /** The ids of the jobs that `retry` has scheduled anew for those that were gone. */
  readonly scheduled: readonly string[]
}

/** The forms of `cancel`: one job, by its id or key, or many. */
export interface Cancel {
  /**
   * Cancels a job: see `Scheduler.cancel`.
   *
   * @param job its id, its key (as `{ key }` if it consists of digits), or the job itself
   * @returns what becomes of it
   */
  (job: JobReference): Promise<Cancellation>
  /**
   * Cancels many jobs: those that no worker has are removed, and the others are stopped by their workers, which are told
   * at once.
   *
   * @param selection jobs, ids or `{ key }`s, or a filter
   * @throws {TypeError} if it names no job, or the filter is empty; nothing is changed then
   */
  (selection: readonly JobReference[] | BulkFilter, options?: BulkOptions): Promise<BulkResult>
}

/** Looks at jobs and runs, and acts on many at a time. */
export interface Inspector {
  /**
   * Lists jobs that are not done, those scheduled last first.
   *
   * @throws {TypeError} if an option is of the wrong type, or the cursor is none of this list
   * @throws {RangeError} if `limit` is out of range
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * const { jobs, cursor } = await Background.jobs({ state: 'failed', task: 'SendEmail', limit: 20 })
   * for (const { id, error } of jobs) console.log(id, error)
   * if (cursor) await Background.jobs({ state: 'failed', task: 'SendEmail', limit: 20, cursor })
   * ```
   */
  jobs(options?: JobFilter & PageOptions): Promise<JobsPage>
  /**
   * Lists runs, those that ended last first.
   *
   * @throws {TypeError} if an option is of the wrong type, or the cursor is none of this list
   * @throws {RangeError} if `limit` is out of range
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * const { runs } = await Background.runs({ task: 'SendEmail', state: ['failed', 'timed out'] })
   * for (const { job, attempt, error } of runs) console.log(job, attempt, error?.message)
   * ```
   */
  runs(options?: RunFilter & PageOptions): Promise<RunsPage>
  /**
   * Everything about one job, also of one that is gone, for as long as its runs are kept.
   *
   * @param job its id, `{ key }` while it is there, or the job itself
   * @returns `undefined` if there is none and no run of it
   * @throws {TypeError} if it names no job
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * const { id } = await Background.schedule({ task: 'SendEmail' })
   * const job = await Background.job(id)
   * console.log(job?.state, job?.runs.length)
   * ```
   */
  job(job: JobReference): Promise<JobDetails | undefined>
  /**
   * Runs failed jobs again, now: those that have failed for good, and those that wait out their backoff. They begin
   * anew, with all their attempts before them. A filter without states means both of these.
   *
   * A job that was named itself and is gone is scheduled anew, with the payload, queue, priority and attempts of its
   * last run; its key too, unless another job has that by now.
   *
   * Here as in all bulk actions: batches of 1,000 jobs are committed one by one, so that workers are not held up; jobs
   * that are scheduled meanwhile are left alone.
   *
   * @param selection jobs, ids or `{ key }`s, or a filter
   * @throws {TypeError} if it names no job, or the filter is empty; nothing is changed then
   * @throws {BackgroundError} `JOB_GONE` if a job is gone and the ledger has not kept its payload, or not all of it;
   * nothing is changed then
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * const { changed } = await Background.retry({ state: 'failed', task: 'SendEmail' })
   * console.log(`${changed} jobs run again`)
   * ```
   */
  retry(selection: JobSelection, options?: BulkOptions): Promise<BulkResult>
  /**
   * Removes jobs that no worker has: waiting, scheduled, retrying and failed ones. Those that a worker has are counted
   * as `running` and stay; `cancel` stops them.
   *
   * @param selection jobs, ids or `{ key }`s, or a filter
   * @throws {TypeError} if it names no job, or the filter is empty; nothing is changed then
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * const { matched } = await Background.delete({ state: 'failed', task: 'SendEmail' }, { dryRun: true })
   * console.log(`${matched} jobs would be deleted`)
   * ```
   */
  delete(selection: JobSelection, options?: BulkOptions): Promise<BulkResult>
  /**
   * Has jobs run now that wait for their time or wait out their backoff. They keep the attempts they have left. A filter
   * without states means both of these.
   *
   * @param selection jobs, ids or `{ key }`s, or a filter
   * @throws {TypeError} if it names no job, or the filter is empty; nothing is changed then
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * await Background.runNow({ state: 'scheduled', queue: 'email' })
   * ```
   */
  runNow(selection: JobSelection, options?: BulkOptions): Promise<BulkResult>
}
