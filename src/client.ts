import type { Sql } from 'postgres'
import type { Names } from './check/options.ts'
import type { MigrationReport } from './database/migrate.ts'
import type { Inspection } from './diagnose/diagnose.ts'
import type { ForeignTransaction } from './enqueue/adapters.ts'
import type { JobDefaults, ResultOptions } from './job.ts'
import type { Logger } from './logger.ts'
import type { Cancel, Inspector } from './manage/manage.ts'
import type { JobReference, Scheduler } from './schedule.ts'

/** Where a {@linkcode Background} finds its database and how it behaves. */
export interface BackgroundOptions {
  /**
   * The database: a connection string, or a postgres.js client, which stays yours to close. It wins over the
   * environment.
   *
   * @default `DATABASE_URL`, else the `PG*` variables if `PGHOST` or `PGDATABASE` is set, else, unless `NODE_ENV` is
   * `production`, a PostgreSQL of the project's own in `.kretes/`
   */
  connection?: string | URL | Sql
  /**
   * How many connections it opens at most; none before the first use. `scheduleMany` keeps one to itself while it takes
   * more than one statement. Ignored with a client of yours.
   *
   * @default 4
   */
  maxConnections?: number
  /**
   * Whether statements are prepared by name. Turn it off behind a pooler in transaction mode that cannot keep them.
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
   * What jobs get unless their task or their call says otherwise.
   *
   * @default none
   */
  defaults?: JobDefaults
  /**
   * How many bytes the JSON of a payload may have.
   *
   * @default 1_048_576
   */
  maxPayloadBytes?: number
  /**
   * How many calls may be under way at a time. Those beyond wait, in order, and their payloads are read when their turn
   * comes: do not change one before its call has resolved.
   *
   * @default 10_000
   */
  maxPending?: number
  /**
   * Told what happens on the way, such as the start of the embedded database.
   *
   * @default none
   */
  logger?: Logger
}

/** What {@linkcode BackgroundOptions} may hold. */
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

/** What the `defaults` may hold. */
export const DEFAULTS: Names<JobDefaults> = { queue: true, priority: true, maxAttempts: true }

/** Schedules jobs in one database, and looks after them. */
export interface BackgroundClient extends Scheduler, Inspector, Inspection, AsyncDisposable {
  /**
   * Cancels one job or many.
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
   * Waits until a job has ended that was scheduled elsewhere, and gives what its task has returned. Of a job that was
   * scheduled here, `job.result()` does the same.
   *
   * @param job its id, its key (as `{ key }` if it consists of digits) while it is there, or the job itself
   * @throws what {@linkcode ScheduledJob.result} throws; `JOB_GONE` too if there is no job of that key
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
   * The same calls inside a transaction of yours: the job exists if and only if it commits. Nothing is grouped there,
   * the schema is not brought up to date, and no statement is sent twice. Errors of the database come as your library
   * throws them, but for one: calls reject with a `BackgroundError` of code `MIGRATION` if the schema is missing or out
   * of date.
   *
   * @param transaction of postgres.js or Bun, a client of node-postgres or anything with its `query(text, values)`, or
   * what Drizzle, Kysely, Prisma, Knex and TypeORM hand to the function that runs in a transaction
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
  with(transaction: ForeignTransaction): Scheduler
  /**
   * Brings the database's schema up to date. The worker and the first `schedule` do so by themselves; this is for
   * deployments whose runtime role may not.
   *
   * @throws {BackgroundError} `DATABASE_NEWER` if a newer kretes has been there
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
   * Waits for calls under way, then closes the connections. Later calls fail, and so does whatever waits for a result.
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
