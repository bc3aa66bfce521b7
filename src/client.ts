import type { Sql } from 'postgres'
import type { Names } from './check/options.ts'
import type { MigrationReport } from './database/migrate.ts'
import type { Monitoring } from './diagnose/diagnose.ts'
import type { ForeignTransaction } from './enqueue/adapters.ts'
import type { LimitControl } from './flow/limits.ts'
import type { Pausing } from './flow/pauses.ts'
import type { JobDefaults, ResultOptions } from './job.ts'
import type { PruneOptions, PruneReport } from './ledger/prune.ts'
import type { Logger } from './logger.ts'
import type { Cancel } from './manage/cancel.ts'
import type { JobAdmin } from './manage/manage.ts'
import type { RecurringJobs } from './recurring/recurring.ts'
import type { JobReference } from './reference.ts'
import type { Scheduler } from './schedule.ts'

/** Options of a {@linkcode Background}. */
export interface BackgroundOptions {
  /**
   * The database: a connection string, or a postgres.js client, which you close yourself. It wins over the environment.
   *
   * @default `DATABASE_URL`, else the `PG*` variables if `PGHOST` or `PGDATABASE` is set, else, unless `NODE_ENV` is
   * `production`, the project's embedded PostgreSQL in `.kretes/`
   */
  connection?: string | URL | Sql
  /**
   * The most connections to open; none before the first use. A `scheduleMany` of more than one statement has one of them
   * to itself. Ignored with a client of yours.
   *
   * @default 4
   */
  maxConnections?: number
  /**
   * Whether to use named prepared statements. Turn this off behind a pooler in transaction mode that does not support
   * them.
   *
   * @default true
   */
  prepare?: boolean
  /**
   * The schema of the engine's tables.
   *
   * @default 'graphile_worker'
   */
  schema?: string
  /**
   * Defaults of all jobs. The options of a call win over those of its task, and these over the defaults.
   *
   * @default none
   */
  defaults?: JobDefaults
  /**
   * The largest payload, in bytes of JSON.
   *
   * @default 1_048_576
   */
  maxPayloadBytes?: number
  /**
   * The most calls that are under way at a time. Further calls wait, in order. Do not change a payload before its call has
   * resolved: a call that waits reads it late.
   *
   * @default 10_000
   */
  maxPending?: number
  /**
   * The logger for events such as the start of the embedded database.
   *
   * @default none
   */
  logger?: Logger
}

/** The names of the {@linkcode BackgroundOptions}, for checks. */
export const BACKGROUND_OPTIONS: Names<BackgroundOptions> = {
  connection: true,
  maxConnections: true,
  prepare: true,
  schema: true,
  defaults: true,
  maxPayloadBytes: true,
  maxPending: true,
  logger: true
}

/** The names of the {@linkcode JobDefaults}, for checks. */
export const DEFAULTS: Names<JobDefaults> = { queue: true, priority: true, maxAttempts: true }

/** Schedules jobs in a transaction of the caller. */
export interface TransactionScheduler extends Scheduler {
  /** Jobs that recur at fixed times or intervals. */
  readonly recurring: RecurringJobs
}

/** Schedules and manages the jobs of one database. */
export interface BackgroundClient extends Scheduler, JobAdmin, Pausing, Monitoring, AsyncDisposable {
  /** Jobs that recur at fixed times or intervals. */
  readonly recurring: RecurringJobs
  /** The limits of tasks and queues. */
  readonly limits: LimitControl
  /**
   * Cancels one job, or many.
   *
   * @example Many of them
   * ```ts
   * import { Background } from 'kretes'
   *
   * const { changed, running } = await Background.cancel({ task: 'SendEmail', search: 'admin@example.com' })
   * console.log(`${changed} jobs, ${running} of them were running`)
   * ```
   */
  cancel: Cancel
  /**
   * Waits until a job has ended, and resolves to its task's return value. For a job that you have scheduled,
   * `job.result()` does the same.
   *
   * @param job its id, its key (as `{ key }` if it consists of digits) until its end, or the job itself
   * @throws what {@linkcode ScheduledJob.result} throws, and `JOB_GONE` if there is no job of that key
   * @example
   * ```ts
   * import { Background, BackgroundError } from 'kretes'
   *
   * const { id } = await Background.schedule({ task: 'SendEmail', delay: '1h' })
   * try {
   *   console.log(await Background.result(id, { timeout: '100ms' }))
   * } catch (error) {
   *   if (error instanceof BackgroundError && error.code === 'TIMEOUT') console.log(error.message)
   *   else throw error
   * }
   * ```
   */
  result(job: JobReference, options?: ResultOptions): Promise<unknown>
  /**
   * Schedules in a transaction of yours: the job exists if and only if the transaction commits. These calls are not
   * grouped, do not migrate the schema, and send no statement twice. They reject with your library's errors, except for
   * a `BackgroundError` of code `MIGRATION` if the schema is missing or out of date.
   *
   * @param transaction a transaction of postgres.js, Bun, Drizzle, Kysely, Prisma, Knex or TypeORM, as the library passes
   * it to your function, or a client of node-postgres or anything else with its `query(text, values)`
   * @throws {TypeError} if it is none of these, or a pool rather than a transaction
   * @example
   * ```ts
   * import { Background } from 'kretes'
   * import postgres from 'postgres'
   *
   * const sql = postgres()
   * await sql.begin(async transaction => {
   *   await transaction`insert into users (email) values ('admin@example.com')`
   *   await Background.with(transaction).schedule({ task: 'SendEmail', payload: { to: 'admin@example.com' } })
   * })
   * await sql.end()
   * ```
   */
  with(transaction: ForeignTransaction): TransactionScheduler
  /**
   * Removes runs that are older than they are kept, a day at a time, and sums up old counters. Reading and recording runs
   * continues meanwhile. Workers prune too, so you rarely need this call. It creates neither a database nor a schema.
   *
   * @throws {TypeError} if an age is not a duration
   * @throws {RangeError} if an age is negative
   * @throws {BackgroundError} `NO_DATABASE` if there is no database, `MIGRATION` if its schema is missing or out of date
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * const { dropped } = await Background.prune({ keepSuccesses: '3d', keepFailures: '14d' })
   * console.log(`Dropped ${dropped.length} partitions`)
   * ```
   */
  prune(options?: PruneOptions): Promise<PruneReport>
  /**
   * Brings the database's schema up to date. The worker and the first `schedule` do so too. Call this in deployments
   * whose runtime role must not change schemas.
   *
   * @throws {BackgroundError} `DATABASE_NEWER` if a newer kretes has migrated the database
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * const { hasChanged } = await Background.migrate()
   * console.log(hasChanged ? 'Migrated' : 'Up to date')
   * ```
   */
  migrate(): Promise<MigrationReport>
  /**
   * Waits for calls under way, then closes the connections. Later calls fail, and so do calls that wait for a result.
   *
   * @example
   * ```ts
   * import { createBackground } from 'kretes'
   *
   * const background = createBackground()
   * await background.schedule({ task: 'SendEmail' })
   * await background.close()
   * ```
   */
  close(): Promise<void>
}
