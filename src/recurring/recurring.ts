import type { Occurrence } from '../cron/preview.ts'
import type { ScheduledJob } from '../job.ts'
import type { PageOptions } from '../manage/filter.ts'
import type { AnyPayload, AnyTask } from '../task.ts'
import type { RecurringJob, RecurringPage } from './entry.ts'
import type { RecurringOptions } from './options.ts'

/** Conditions of {@linkcode RecurringJobs.list}. */
export interface RecurringFilter {
  /**
   * The task, or its name.
   *
   * @default any
   */
  task?: AnyTask | string
  /**
   * A part of the name, in any case.
   *
   * @default any
   */
  search?: string
}

/**
 * Jobs that recur at the times of a cron expression or after an interval. Workers schedule one job for each occurrence,
 * exactly once, by the clock of the database. The job's `occurrence` is the moment of the occurrence.
 */
export interface RecurringJobs {
  /**
   * Creates a recurring job, or replaces the one with this name. If its times are the same as before, its next
   * occurrence stays, so you may call this at each start of your program. A paused one stays paused. One that code
   * declares stays as you have set it until `reset`, also after the next deployment.
   *
   * @param name identifies it, such as `digest:42`: 1 to 100 characters
   * @throws {TypeError} if an option has the wrong type; nothing is stored then
   * @throws {RangeError} if an option is out of range, the cron expression is wrong or matches no date, the time zone
   * does not exist, or no occurrence comes before `end`; nothing is stored then
   * @throws {BackgroundError} what `schedule` throws
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * const digest = await Background.recurring.set('digest:42', {
   *   task: 'SendDigest',
   *   payload: { user: 42 },
   *   cron: '0 9 * * 1-5',
   *   timeZone: 'Europe/Berlin'
   * })
   * console.log(digest.nextAt)
   * ```
   */
  set<Input extends object = AnyPayload>(name: string, options: RecurringOptions<Input>): Promise<RecurringJob>
  /**
   * Lists recurring jobs, ordered by name.
   *
   * @throws {TypeError} if an option has the wrong type, or the cursor is not one of this list
   * @throws {RangeError} if `limit` is out of range
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * const { entries } = await Background.recurring.list({ task: 'SendDigest', limit: 20 })
   * for (const { name, nextAt } of entries) console.log(name, nextAt)
   * ```
   */
  list(options?: RecurringFilter & PageOptions): Promise<RecurringPage>
  /**
   * Reads one recurring job.
   *
   * @returns `undefined` if none has this name
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * const digest = await Background.recurring.get('digest:42')
   * console.log(digest?.lastAt, digest?.skips)
   * ```
   */
  get(name: string): Promise<RecurringJob | undefined>
  /**
   * Pauses a recurring job. Its occurrences schedule no jobs until `resume`. Its jobs that wait or run stay.
   *
   * @throws {BackgroundError} `NO_RECURRING_JOB` if none has this name
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * await Background.recurring.set('digest:1', { task: 'SendDigest', every: '1d' })
   * await Background.recurring.pause('digest:1')
   * ```
   */
  pause(name: string): Promise<RecurringJob>
  /**
   * Lets a paused recurring job continue with its next occurrence. The occurrences during the pause do not count as
   * missed. One that is not paused stays as it is.
   *
   * @throws {BackgroundError} `NO_RECURRING_JOB` if none has this name
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * await Background.recurring.set('digest:2', { task: 'SendDigest', every: '1d' })
   * const { nextAt } = await Background.recurring.resume('digest:2')
   * console.log(nextAt)
   * ```
   */
  resume(name: string): Promise<RecurringJob>
  /**
   * Schedules one job of a recurring job now, also while it is paused or an earlier job runs. The job's `occurrence` is
   * the time of the call. The next occurrence stays.
   *
   * @returns the job
   * @throws {BackgroundError} `NO_RECURRING_JOB` if none has this name
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * await Background.recurring.set('digest:3', { task: 'SendDigest', every: '1d' })
   * const job = await Background.recurring.runNow('digest:3')
   * console.log(job.id)
   * ```
   */
  runNow(name: string): Promise<ScheduledJob>
  /**
   * Computes the next occurrences, and marks those on days on which the clocks of the time zone change. If the recurring
   * job is paused, these are the occurrences that would come if you resumed it now.
   *
   * @param count how many, from 1 to 1,000. There are fewer if no more come before `end`
   * @throws {BackgroundError} `NO_RECURRING_JOB` if none has this name
   * @throws {RangeError} if `count` is out of range
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * await Background.recurring.set('report', { task: 'SendReport', cron: '30 2 * * *', timeZone: 'Europe/Berlin' })
   * for (const { local, clockChange } of await Background.recurring.preview('report', 5)) {
   *   console.log(local, clockChange ?? '')
   * }
   * ```
   */
  preview(name: string, count?: number): Promise<readonly Occurrence[]>
  /**
   * Removes a recurring job. Its jobs that wait or run stay. One that code declares stays away until `reset`, also after
   * the next deployment.
   *
   * @returns the recurring job as it was
   * @throws {BackgroundError} `NO_RECURRING_JOB` if none has this name
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * await Background.recurring.set('digest:4', { task: 'SendDigest', every: '1d' })
   * await Background.recurring.remove('digest:4')
   * ```
   */
  remove(name: string): Promise<RecurringJob>
  /**
   * Takes back what `set` or `remove` has changed about a recurring job that code declares. It is then as the code says.
   * A paused one stays paused.
   *
   * @throws {BackgroundError} `NO_RECURRING_JOB` if no code declares one with this name
   * @example
   * ```ts
   * import { Background, BackgroundError } from 'kretes'
   *
   * await Background.recurring.reset('SendReport').catch(error => {
   *   if (error instanceof BackgroundError && error.code === 'NO_RECURRING_JOB') console.log('No code declares it')
   *   else throw error
   * })
   * ```
   */
  reset(name: string): Promise<RecurringJob>
}
