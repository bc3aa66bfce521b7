import type { JobDetails, JobFilter, JobsPage, PageOptions, RunFilter, RunsPage } from '../inspect.ts'
import type { Cancellation, JobReference } from '../schedule.ts'

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
   * @param selection jobs, ids or keys (as `{ key }` if they consist of digits), or a filter
   * @throws {TypeError} if it names no job, or the filter is empty; nothing is changed then
   */
  (selection: readonly JobReference[] | BulkFilter, options?: BulkOptions): Promise<BulkResult>
}

/**
 * Looks at jobs and runs, and acts on many at a time. No call creates a database or a schema: it rejects with a `BackgroundError` of code
 * `NO_DATABASE` or `MIGRATION` where there is none.
 */
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
   * @param job its id, its key (as `{ key }` if it consists of digits) while it is there, or the job itself
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
   * @param selection jobs, ids or keys (as `{ key }` if they consist of digits), or a filter
   * @throws {TypeError} if it names no job, or the filter is empty; nothing is changed then
   * @throws {BackgroundError} `JOB_GONE` if a job is gone and the ledger has not kept the run with which it ended, or not
   * its whole payload; nothing is changed then
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
   * @param selection jobs, ids or keys (as `{ key }` if they consist of digits), or a filter
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
   * @param selection jobs, ids or keys (as `{ key }` if they consist of digits), or a filter
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
