import type { Duration } from './duration.ts'
import type { Job, JobDefaults, KeyMode, ScheduledJob } from './job.ts'
import type { JsonOf } from './json.ts'
import type { JobReference } from './reference.ts'
import type { AnyPayload, AnyTask, Task } from './task.ts'

/** The options of one job, besides its task and payload. */
export interface JobOptions extends JobDefaults {
  /**
   * Not before this time: a Date, or ISO 8601 with a time zone, to the millisecond. Not together with `delay`.
   *
   * @default now
   */
  runAt?: Date | string
  /**
   * Not before this long from now, by the database's clock: milliseconds, `'1h30m'`, or `{ minutes: 5 }`, which a
   * `Temporal.Duration` is too. Not together with `runAt`.
   *
   * @default 0
   */
  delay?: Duration
  /**
   * Identifies the job while it exists: there is never more than one of a key. 1 to 512 characters. A call waits while
   * an open transaction has scheduled that key, and calls with keys behind it wait too; a `lock_timeout` of the
   * connection bounds that, and fails this call alone.
   *
   * @default none
   */
  key?: string
  /**
   * What happens if a job with the same key exists.
   *
   * @default 'replace'
   */
  keyMode?: KeyMode
}

/** What {@linkcode Scheduler.schedule} takes; whether a payload is required follows from the task. */
export type ScheduleOptions<Input extends object = AnyPayload, Output = unknown> = {
  /**
   * The task, or its name if it cannot be imported here. A name brings the queue, priority and attempts that workers have
   * registered of the task; its schema checks the payload when the job runs.
   */
  task: Task<Input, Output> | string
} & JobOptions &
  PayloadOption<Input>

/** The `payload` of a call: required where the task cannot do without. */
export type PayloadOption<Input extends object> =
  Record<string, never> extends Input
    ? {
        /**
         * What the task is called with: an object that JSON can hold. A Date in it arrives as a string. What JSON would
         * change or drop in silence is refused, but for properties that are undefined or under symbols.
         *
         * @default {}
         */
        payload?: NoInfer<Input>
      }
    : {
        /** What the task is called with: an object that JSON can hold. A Date in it arrives as a string. */
        payload: NoInfer<Input>
      }

/** Many jobs of one task, for {@linkcode Scheduler.scheduleMany}; all get the same options. */
export type PayloadsOptions<Input extends object = AnyPayload, Output = unknown> = {
  /** The task, or its name if it cannot be imported here. */
  task: Task<Input, Output> | string
  /** The payload of each job; read as they are needed, so that there may be more than fit into memory. */
  payloads: Iterable<NoInfer<Input>> | AsyncIterable<NoInfer<Input>>
} & Omit<JobOptions, 'key' | 'keyMode'>

/** How {@linkcode Scheduler.scheduleMany} goes about it. */
export interface ManyOptions {
  /**
   * Whether all jobs are committed together, or none. Without, each chunk is committed for itself: workers begin before
   * the last one is there, and those before a failure stay.
   *
   * @default true
   */
  atomic?: boolean
  /**
   * Whether the jobs are returned. A million of them take memory; without, their number is returned.
   *
   * @default true
   */
  returning?: boolean
  /**
   * Told after each chunk how many jobs were sent so far. With `atomic` none of them is there before the end.
   *
   * @default none
   */
  onProgress?: (sent: number) => void
}

/** What {@linkcode Scheduler.reschedule} changes; what is left out stays. */
export type RescheduleOptions = Pick<JobOptions, 'runAt' | 'delay' | 'priority' | 'maxAttempts'>

/**
 * What becomes of a job that is to be cancelled:
 *
 * - `removed`: it waited, and is gone.
 * - `cancelling`: a worker has it and has been told.
 * - `not found`: there is none. It has ended, or was removed, or never was.
 */
export type Cancellation = 'removed' | 'cancelling' | 'not found'

/** Schedules jobs, and changes what was scheduled. */
export interface Scheduler {
  /**
   * Schedules a job. It is committed when the promise resolves, so that a crash of this process loses nothing.
   *
   * Calls that are made while others are under way share statements; each still gets its own job or its own error.
   * Jobs of one queue run in the order of the calls.
   *
   * Nothing is sent twice behind your back. After `OUTCOME_UNKNOWN` the job may be there or not. A call with a `key` may
   * be repeated: it never leaves two jobs waiting, but it does run again what has run meanwhile.
   *
   * @returns the job as the database holds it, whose `result()` waits for its end
   * @throws {TypeError} if an option is of the wrong type or the payload is none; nothing is sent then
   * @throws {RangeError} if an option or the payload's size is out of range; nothing is sent then
   * @throws {BackgroundError} `OUTCOME_UNKNOWN` if the connection was lost before the answer came, `DATABASE_UNAVAILABLE`
   * if surely nothing was scheduled, `INVALID_PAYLOAD` if the task's schema refuses the payload; `NO_DATABASE`,
   * `EMBEDDED_DATABASE`, `MIGRATION`, `CLOSED`
   * @example
   * ```ts
   * import { Background, Queue } from 'kretes'
   *
   * await Background.schedule({
   *   task: 'SendEmail',
   *   payload: { to: 'admin@example.com' },
   *   queue: Queue.for('email'),
   *   delay: '5m'
   * })
   * ```
   * @example Debounce: run once, five seconds after the last call
   * ```ts
   * import { Background } from 'kretes'
   *
   * await Background.schedule({ task: 'Reindex', payload: { book: 7 }, key: 'reindex:7', delay: '5s' })
   * ```
   * @example Throttle: run once, five seconds after the first call, with the payload of the last
   * ```ts
   * import { Background } from 'kretes'
   *
   * await Background.schedule({
   *   task: 'Reindex',
   *   payload: { book: 7 },
   *   key: 'reindex:7',
   *   keyMode: 'preserveRunAt',
   *   delay: '5s'
   * })
   * ```
   */
  schedule<Input extends object = AnyPayload, Output = unknown>(
    options: ScheduleOptions<Input, Output>
  ): Promise<ScheduledJob<JsonOf<Output>>>
  /**
   * Schedules many jobs, in order and in chunks: all or none, unless `atomic` is false. From an iterable, even an
   * asynchronous one, any number of them.
   *
   * @returns the jobs in the order given; their number with `returning: false`
   * @throws what {@linkcode Scheduler.schedule} throws, and what the iterable throws
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * const jobs = await Background.scheduleMany([{ task: 'SendEmail' }, { task: 'ResizeImage', priority: 10 }])
   * console.log(jobs.length)
   * ```
   * @example A million of them
   * ```ts
   * import { Background } from 'kretes'
   *
   * async function* addresses() {
   *   for (let user = 0; user < 1_000_000; user++) yield { to: `user-${user}@example.com` }
   * }
   * const jobs = { task: 'SendEmail', payloads: addresses() }
   * const count = await Background.scheduleMany(jobs, { returning: false, onProgress: sent => console.log(sent) })
   * console.log(count)
   * ```
   */
  scheduleMany: ScheduleMany
  /**
   * Removes a job that waits, or that has failed for good.
   *
   * @param job its id, its key (as `{ key }` if it consists of digits), or the job itself
   * @returns the job that was removed
   * @throws {BackgroundError} `JOB_RUNNING` if a worker has it, `JOB_GONE` if there is none: it has run, or was removed
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * const job = await Background.schedule({ task: 'SendEmail', key: 'welcome:7', delay: '1h' })
   * await Background.unschedule({ key: 'welcome:7' })
   * console.log(`Removed ${job.id}`)
   * ```
   */
  unschedule(job: JobReference): Promise<Job>
  /**
   * Changes when and how a job that waits will run.
   *
   * @param job its id, its key (as `{ key }` if it consists of digits), or the job itself
   * @returns the job as it is now
   * @throws {BackgroundError} `JOB_RUNNING` if a worker has it, `JOB_GONE` if there is none: it has run, or was removed;
   * `JOB_FAILED` if it has failed for good: `retry` runs it again
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * const job = await Background.schedule({ task: 'SendEmail', delay: '1h' })
   * await Background.reschedule(job, { delay: 0, priority: -1 })
   * ```
   */
  reschedule(job: JobReference, changes: RescheduleOptions): Promise<Job>
  /**
   * Cancels a job. One that waits, or has failed for good, is removed. One that runs, on whatever machine, sees its
   * `signal` abort within a second and is not run again, whatever its task does from then on; when the task has ended,
   * the job is gone.
   *
   * @param job its id, its key (as `{ key }` if it consists of digits), or the job itself
   * @returns what becomes of it
   * @throws {TypeError} if it names no job
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * const job = await Background.schedule({ task: 'SendEmail', delay: '1h' })
   * const outcome = await Background.cancel(job.id)
   * if (outcome === 'cancelling') console.log('It had begun already')
   * ```
   */
  cancel(job: JobReference): Promise<Cancellation>
}

/** The forms of {@linkcode Scheduler.scheduleMany}. */
export interface ScheduleMany {
  <Input extends object = AnyPayload, Output = unknown>(
    options: PayloadsOptions<Input, Output>,
    many: Counting
  ): Promise<number>
  <Input extends object = AnyPayload, Output = unknown>(
    options: PayloadsOptions<Input, Output>,
    many?: Returning
  ): Promise<ScheduledJob<JsonOf<Output>>[]>
  <Input extends object = AnyPayload, Output = unknown>(
    options: PayloadsOptions<Input, Output>,
    many: ManyOptions
  ): Promise<ScheduledJob<JsonOf<Output>>[] | number>
  <const Jobs extends readonly AnyJob[]>(jobs: Jobs & EachOptions<Jobs>, many: Counting): Promise<number>
  <const Jobs extends readonly AnyJob[]>(jobs: Jobs & EachOptions<Jobs>, many?: Returning): Promise<EachScheduled<Jobs>>
  <const Jobs extends readonly AnyJob[]>(
    jobs: Jobs & EachOptions<Jobs>,
    many: ManyOptions
  ): Promise<EachScheduled<Jobs> | number>
  <Input extends object = AnyPayload, Output = unknown>(
    jobs: ScheduleIterable<Input, Output>,
    many: Counting
  ): Promise<number>
  <Input extends object = AnyPayload, Output = unknown>(
    jobs: ScheduleIterable<Input, Output>,
    many?: Returning
  ): Promise<ScheduledJob<JsonOf<Output>>[]>
  <Input extends object = AnyPayload, Output = unknown>(
    jobs: ScheduleIterable<Input, Output>,
    many: ManyOptions
  ): Promise<ScheduledJob<JsonOf<Output>>[] | number>
}

/** {@linkcode ManyOptions} that ask for the number of jobs alone. */
export type Counting = ManyOptions & { returning: false }

/** {@linkcode ManyOptions} that ask for the jobs. */
export type Returning = ManyOptions & { returning?: true }

/** A job of any task. */
export type AnyJob = { readonly task: AnyTask | string }

/** A list of jobs, each of a task of its own, which says what payload there must be. */
export type EachOptions<Jobs extends readonly AnyJob[]> = {
  readonly [Index in keyof Jobs]: ScheduleOptions<InputOf<Jobs[Index]['task']>>
}

/** What a list of jobs becomes when it is scheduled. */
export type EachScheduled<Jobs extends readonly AnyJob[]> = {
  -readonly [Index in keyof Jobs]: ScheduledJob<OutputOf<Jobs[Index]['task']>>
}

/** What a task takes; a name does not say. */
export type InputOf<Given> = Given extends Task<infer Input> ? Input : AnyPayload

/** What a task returns; a name does not say. */
export type OutputOf<Given> = Given extends (...given: never[]) => infer Output ? JsonOf<Awaited<Output>> : unknown

/** Jobs that come as they are needed. */
export type ScheduleIterable<Input extends object, Output = unknown> =
  | Iterable<ScheduleOptions<Input, Output>>
  | AsyncIterable<ScheduleOptions<Input, Output>>
