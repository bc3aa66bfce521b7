import type { Duration } from './duration.ts'
import type { Cancellation, Job, JobDefaults, KeyMode, ScheduledJob } from './job.ts'
import type { JsonOf } from './json.ts'
import type { JobReference } from './reference.ts'
import type { AnyPayload, AnyTask, Task } from './task.ts'

/** The options of a job, besides its task and payload. */
export interface JobOptions extends JobDefaults {
  /**
   * The job does not run before this time: a Date, or ISO 8601 with a time zone, to the millisecond. Excludes `delay`.
   *
   * @default now
   */
  runAt?: Date | string
  /**
   * The job does not run before this time has passed, by the database's clock: milliseconds, `'1h30m'`,
   * `{ minutes: 5 }` or a `Temporal.Duration`. Excludes `runAt`.
   *
   * @default 0
   */
  delay?: Duration
  /**
   * Identifies the job while it exists: no two jobs have the same key. 1 to 512 characters. While an open transaction has
   * scheduled the same key, the call waits, and so do later calls with keys. To limit the wait, set `lock_timeout` on the
   * connection; then only this call fails.
   *
   * @default none
   */
  key?: string
  /**
   * What the call does if a job with the same key exists.
   *
   * @default 'replace'
   */
  keyMode?: KeyMode
}

/** Options of {@linkcode Scheduler.schedule}. The task decides whether a payload is required. */
export type ScheduleOptions<Input extends object = AnyPayload, Output = unknown> = {
  /**
   * The task, or its name if you cannot import it. With a name, the job gets the queue, priority and attempts that workers
   * have registered for the task, and the task's schema checks the payload when the job runs.
   */
  task: Task<Input, Output> | string
} & JobOptions &
  PayloadOption<Input>

/** The `payload` of a call. It is required if the task requires it. */
export type PayloadOption<Input extends object> =
  Record<string, never> extends Input
    ? {
        /**
         * The argument of the task: an object that JSON can hold. A Date arrives as a string. A value that JSON would
         * silently change or drop is refused, except for properties that are undefined or have symbols as keys.
         *
         * @default {}
         */
        payload?: NoInfer<Input>
      }
    : {
        /** The argument of the task: an object that JSON can hold. A Date arrives as a string. */
        payload: NoInfer<Input>
      }

/** Many jobs of one task with the same options, for {@linkcode Scheduler.scheduleMany}. */
export type PayloadsOptions<Input extends object = AnyPayload, Output = unknown> = {
  /** The task, or its name if you cannot import it. */
  task: Task<Input, Output> | string
  /** The payload of each job. They are read on demand, so there may be more than fit into memory. */
  payloads: Iterable<NoInfer<Input>> | AsyncIterable<NoInfer<Input>>
} & Omit<JobOptions, 'key' | 'keyMode'>

/** Options of {@linkcode Scheduler.scheduleMany}. */
export interface ManyOptions {
  /**
   * Whether to commit all jobs together, or none. If false, each chunk is committed on its own: workers begin early, and
   * after a failure the chunks before it remain.
   *
   * @default true
   */
  atomic?: boolean
  /**
   * Whether to return the jobs. If false, only their number is returned, which saves memory.
   *
   * @default true
   */
  returning?: boolean
  /**
   * Called after each chunk with the number of jobs sent so far. With `atomic`, they are committed only at the end.
   *
   * @default none
   */
  onProgress?: (sent: number) => void
}

/** Changes of {@linkcode Scheduler.reschedule}. An option that you leave out keeps its value. */
export type RescheduleOptions = Pick<JobOptions, 'runAt' | 'delay' | 'priority' | 'maxAttempts'>

/** Schedules jobs, and changes scheduled ones. */
export interface Scheduler {
  /**
   * Schedules a job. The job is committed when the promise resolves, so a crash of your process does not lose it.
   *
   * Concurrent calls share statements, but each gets its own job or its own error. Jobs of one queue run in the order of
   * the calls.
   *
   * The call never sends a job twice. After `OUTCOME_UNKNOWN` the job may exist or not. You can repeat a call with a `key`:
   * it never leaves two jobs waiting, but a job that has run meanwhile runs again.
   *
   * @returns the job as the database stores it; `result()` waits for its end
   * @throws {TypeError} if an option or the payload has the wrong type; nothing is sent then
   * @throws {RangeError} if an option or the payload's size is out of range; nothing is sent then
   * @throws {BackgroundError} `OUTCOME_UNKNOWN` if the connection was lost before the answer came, `DATABASE_UNAVAILABLE`
   * if certainly nothing was scheduled, `INVALID_PAYLOAD` if the task's schema refuses the payload; `NO_DATABASE`,
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
   * Schedules many jobs, in order and in chunks: all or none, unless `atomic` is false. The jobs may come from an iterable
   * of any length, even an asynchronous one.
   *
   * @returns the jobs in the given order; their number with `returning: false`
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
   * Removes a job that no worker has.
   *
   * @param job its id, its key (as `{ key }` if it consists of digits), or the job itself
   * @returns the job that was removed
   * @throws {BackgroundError} `JOB_RUNNING` if a worker has the job, `JOB_GONE` if there is no such job
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
   * Changes when and how a job runs. No worker may have fetched the job.
   *
   * @param job its id, its key (as `{ key }` if it consists of digits), or the job itself
   * @returns the job as it is now
   * @throws {BackgroundError} `JOB_RUNNING` if a worker has the job, `JOB_GONE` if there is no such job, `JOB_FAILED` if
   * the job has failed for good: `retry` runs it again
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
   * Cancels a job. A job that no worker has is removed. For a job that runs, on any machine, `signal` aborts within a
   * second. The job never runs again, and it is gone when its task has ended.
   *
   * @param job its id, its key (as `{ key }` if it consists of digits), or the job itself
   * @returns the outcome
   * @throws {TypeError} if the argument names no job
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

/** The options of a list of jobs, each with the payload of its own task. */
export type EachOptions<Jobs extends readonly AnyJob[]> = {
  readonly [Index in keyof Jobs]: ScheduleOptions<InputOf<Jobs[Index]['task']>>
}

/** The scheduled jobs of a list. */
export type EachScheduled<Jobs extends readonly AnyJob[]> = {
  -readonly [Index in keyof Jobs]: ScheduledJob<OutputOf<Jobs[Index]['task']>>
}

/** The payload of a task; of a name, any payload. */
export type InputOf<Given> = Given extends Task<infer Input> ? Input : AnyPayload

/** The result of a task; of a name, unknown. */
export type OutputOf<Given> = Given extends (...given: never[]) => infer Output ? JsonOf<Awaited<Output>> : unknown

/** Jobs that are read on demand. */
export type ScheduleIterable<Input extends object, Output = unknown> =
  | Iterable<ScheduleOptions<Input, Output>>
  | AsyncIterable<ScheduleOptions<Input, Output>>
