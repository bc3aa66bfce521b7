import { isReference, type JobReference, toTarget } from '../reference.ts'
import { ACTIONS, type Action } from '../rules/actions.ts'
import type { Scheduler } from '../schedule.ts'
import { actOn, type BulkAccess, type BulkOptions, type BulkResult } from './bulk.ts'
import { type Cancel, cancel } from './cancel.ts'
import type { JobFilter, PageOptions, RunFilter } from './filter.ts'
import { type JobDetails, type JobsPage, readJob, readJobs } from './jobs.ts'
import { reschedule, toChanges, unschedule } from './reschedule.ts'
import { type RunsPage, readRuns } from './runs.ts'
import type { JobSelection } from './selection.ts'

/**
 * Lists jobs and runs, and acts on many jobs at a time. No call creates a database or a schema: it rejects with a
 * `BackgroundError` of code `NO_DATABASE` or `MIGRATION` if there is none.
 */
export interface JobAdmin {
  /**
   * Lists jobs that wait, run or have failed for good, the last scheduled first.
   *
   * @throws {TypeError} if an option has the wrong type, or the cursor is not one of this list
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
   * Lists runs, the last ended first.
   *
   * @throws {TypeError} if an option has the wrong type, or the cursor is not one of this list
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
   * Reads everything about one job, also after its end, for as long as its runs are kept.
   *
   * @param job its id, its key (as `{ key }` if it consists of digits) until its end, or the job itself
   * @returns `undefined` if there is no such job and no run of it
   * @throws {TypeError} if the argument names no job
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
   * Runs failed jobs again, now: jobs that have failed for good, and jobs that wait for their next attempt. They get all
   * their attempts back. A filter without states means both.
   *
   * A job that you name and that is gone is scheduled again as a new job, with the payload, queue, priority and attempts
   * of its last run. The new job gets the key, unless another job has taken it.
   *
   * Like all bulk actions, this commits batches of 1,000 jobs, so that workers are not held up, and leaves alone jobs
   * that are scheduled meanwhile.
   *
   * @param selection jobs, ids or keys (as `{ key }` if they consist of digits), or a filter
   * @throws {TypeError} if the selection names no job, or the filter is empty; nothing is changed then
   * @throws {BackgroundError} `JOB_GONE` if a job is gone and the ledger does not keep the run that ended it, or not its
   * whole payload; nothing is changed then
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
   * Removes jobs that no worker has: waiting, scheduled, retrying and failed ones. Jobs that a worker has are counted as
   * `running` and stay; `cancel` stops them.
   *
   * @param selection jobs, ids or keys (as `{ key }` if they consist of digits), or a filter
   * @throws {TypeError} if the selection names no job, or the filter is empty; nothing is changed then
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
   * Makes scheduled and retrying jobs due now. They keep the attempts that they have left. A filter without states means
   * both.
   *
   * @param selection jobs, ids or keys (as `{ key }` if they consist of digits), or a filter
   * @throws {TypeError} if the selection names no job, or the filter is empty; nothing is changed then
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * await Background.runNow({ state: 'scheduled', queue: 'email' })
   * ```
   */
  runNow(selection: JobSelection, options?: BulkOptions): Promise<BulkResult>
}

/** What this room adds to a Background. */
export type Management = JobAdmin & { cancel: Cancel } & Pick<Scheduler, 'reschedule' | 'unschedule'>

/**
 * Creates the calls that manage the jobs of one database.
 *
 * @param use runs work in the database, and needs its schema to exist; `doing` describes the work in errors
 */
export function createManagement(
  use: <Result>(doing: string, work: (database: BulkAccess) => Promise<Result>) => Promise<Result>
): Management {
  const act =
    (action: Action) =>
    async (selection: JobSelection, options?: BulkOptions): Promise<BulkResult> =>
      await use(`${ACTIONS[action].verb} jobs`, actOn(action, selection, options))

  return {
    async jobs(options = {}) {
      const read = readJobs(options)
      return await use('list jobs', ({ access }) => read(access))
    },
    async runs(options = {}) {
      const read = readRuns(options)
      return await use('list runs', ({ access }) => read(access))
    },
    async job(reference) {
      const read = readJob(reference)
      return await use('look at a job', ({ access }) => read(access))
    },
    retry: act('retry'),
    delete: act('delete'),
    runNow: act('runNow'),
    cancel: (async (selection: JobSelection, options?: BulkOptions) =>
      await use(isReference(selection) ? 'cancel a job' : 'cancel jobs', cancel(selection, options))) as Cancel,
    async reschedule(job, given) {
      const target = toTarget(job, 'reschedule')
      const changes = toChanges(given)
      return await use('reschedule a job', ({ access }) => reschedule(access, target, changes))
    },
    async unschedule(job) {
      const target = toTarget(job, 'unschedule')
      return await use('unschedule a job', ({ access }) => unschedule(access, target))
    }
  }
}
