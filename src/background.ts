import type { Sql } from 'postgres'
import { checkDefaults } from './check.ts'
import { type MigrationReport, migrate } from './database/migrate.ts'
import { connect, type Database, openDatabase } from './database/open.ts'
import { createPool, type Pool, poolOf } from './database/pool.ts'
import { executeInTransaction, type ForeignTransaction } from './enqueue/adapters.ts'
import { toCancelTarget } from './enqueue/cancel.ts'
import { reschedule, toChanges, toTarget, unschedule } from './enqueue/change.ts'
import { createForeignScheduler } from './enqueue/foreign.ts'
import { createGate } from './enqueue/gate.ts'
import { createGroups, type ScheduleOne } from './enqueue/group.ts'
import { type ManyGiven, scheduleMany } from './enqueue/many.ts'
import { explainOutcome } from './enqueue/outcome.ts'
import { DEFAULT_MAX_BYTES } from './enqueue/payload.ts'
import { type AnyOptions, type JobSettings, toNewJob, toRequest } from './enqueue/request.ts'
import { BackgroundError } from './errors.ts'
import type { JobDefaults } from './job.ts'
import { type Logger, silentLogger } from './logger.ts'
import type { ManyOptions, ScheduleMany, Scheduler } from './schedule.ts'
import { cancelJob } from './sql/cancel.ts'
import type { Access } from './sql/statement.ts'

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

/** Schedules jobs in one database. */
export interface BackgroundClient extends Scheduler, AsyncDisposable {
  /**
   * The same calls inside a transaction of yours: the job exists if and only if it commits. Nothing is grouped there,
   * the schema is not brought up to date, and no statement is sent twice. Errors of the database come as your library
   * throws them.
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
   * const { changed } = await Background.migrate()
   * console.log(changed ? 'Migrated' : 'Up to date')
   * ```
   */
  migrate(): Promise<MigrationReport>
  /**
   * Waits for calls under way, then closes the connections. Later calls fail.
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

/**
 * A way to schedule jobs in a database of its own, for applications that use several. It connects when first used.
 *
 * @throws {TypeError} if an option has a wrong type
 * @example
 * ```ts
 * import { createBackground } from 'kretes'
 *
 * await using billing = createBackground({ connection: process.env.BILLING_DATABASE_URL })
 * await billing.schedule({ task: 'SendInvoice', payload: { invoice: 42 } })
 * ```
 */
export function createBackground(options: BackgroundOptions = {}): BackgroundClient {
  const { connection, schema = 'graphile_worker', logger = silentLogger, prepare = true } = options
  const { maxConnections = 4, maxPending = 10_000, defaults = {}, maxPayloadBytes = DEFAULT_MAX_BYTES } = options
  const doing = 'create a Background'
  checkCount(maxConnections, doing, 'maxConnections')
  checkCount(maxPending, doing, 'maxPending')
  checkCount(maxPayloadBytes, doing, 'maxPayloadBytes')
  checkDefaults(defaults, doing)
  const settings: JobSettings = { schema, defaults, maxPayloadBytes }
  const gate = createGate(maxPending)
  let opening: Promise<Opened> | undefined
  let closing: Promise<void> | undefined

  async function open(): Promise<Opened> {
    const database = await openDatabase({ connection, onProgress: message => logger.info(message) })
    const { client } = database
    const options = { max: maxConnections, prepare, name: 'kretes' }
    const pool = client ? poolOf(client) : createPool(connect(database, options), maxConnections)
    const migrateHere = (): Promise<MigrationReport> => migrate(database, schema)
    const access: Access = { execute: pool.execute, schema, isOurs: true }
    const add = createGroups({ access, migrate: migrateHere })
    return { database, pool, access, add, migrate: migrateHere }
  }

  async function use<Result>(what: string, work: (opened: Opened) => Promise<Result>): Promise<Result> {
    if (closing) throw new BackgroundError('CLOSED', `Cannot ${what}: this Background was closed`)
    const turn = gate.enter()
    if (turn) await turn
    let label = 'the database'
    try {
      if (!opening) {
        opening = open()
        // A database that could not be opened is tried anew by the next call.
        opening.catch(() => (opening = undefined))
      }
      // Awaited even when it is there, so that no call overtakes those that waited for it.
      const opened = await opening
      label = opened.database.label
      return await work(opened)
    } catch (error) {
      throw explainOutcome(error, what, label)
    } finally {
      gate.leave()
    }
  }

  async function closeAll(): Promise<void> {
    await gate.whenEmpty()
    const opened = await opening?.catch(() => undefined)
    if (!opened) return
    await opened.pool.end()
    await opened.database.release()
  }

  return {
    async schedule(given: AnyOptions) {
      const request = toRequest(given, defaults)
      return await use(`schedule ${request.task}`, async ({ add }) => {
        const job = toNewJob(given, request, settings)
        return await add(job instanceof Promise ? await job : job)
      })
    },
    scheduleMany: ((given: ManyGiven, many: ManyOptions = {}) =>
      use('schedule many jobs', ({ access, pool, migrate }) =>
        scheduleMany(given, many, settings, { access, transact: pool.transact, migrate })
      )) as ScheduleMany,
    async unschedule(job) {
      const target = toTarget(job, 'unschedule')
      return await use('unschedule a job', ({ access }) => unschedule(access, target))
    },
    async reschedule(job, given) {
      const target = toTarget(job, 'reschedule')
      const changes = toChanges(given)
      return await use('reschedule a job', ({ access }) => reschedule(access, target, changes))
    },
    async cancel(job) {
      const target = toCancelTarget(job)
      return await use('cancel a job', ({ access }) => cancelJob(access, target))
    },
    with: transaction => createForeignScheduler(executeInTransaction(transaction), settings),
    migrate: () => use('migrate the database', ({ migrate }) => migrate()),
    close: () => (closing ??= closeAll()),
    [Symbol.asyncDispose]: () => (closing ??= closeAll())
  }
}

/** {@linkcode Background}: a client with default options, until it is configured. */
export interface DefaultBackground extends BackgroundClient {
  /**
   * Says where the database is. To be called before the first use, or after `close`.
   *
   * @throws {BackgroundError} `CONFIGURATION` if it is in use already
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * Background.configure({ connection: process.env.JOBS_DATABASE_URL, maxConnections: 8 })
   * ```
   */
  configure(options: BackgroundOptions): void
}

/**
 * Schedules jobs in the application's database. After `close`, the next use connects anew.
 *
 * @example
 * ```ts
 * import { Background } from 'kretes'
 *
 * await Background.schedule({ task: 'SendEmail', payload: { to: 'admin@example.com' } })
 * ```
 */
export const Background: DefaultBackground = createDefault()

function createDefault(): DefaultBackground {
  let options: BackgroundOptions = {}
  let client: BackgroundClient | undefined
  const current = (): BackgroundClient => (client ??= createBackground(options))
  const close = async (): Promise<void> => {
    const closed = client
    client = undefined
    await closed?.close()
  }
  return {
    configure(given) {
      if (client)
        throw new BackgroundError('CONFIGURATION', 'Cannot configure Background: it is in use. Close it first')
      options = given
    },
    schedule: scheduleOptions => current().schedule(scheduleOptions),
    scheduleMany: ((...given: Parameters<ScheduleMany>) => current().scheduleMany(...given)) as ScheduleMany,
    unschedule: job => current().unschedule(job),
    reschedule: (job, changes) => current().reschedule(job, changes),
    cancel: job => current().cancel(job),
    with: transaction => current().with(transaction),
    migrate: () => current().migrate(),
    close,
    [Symbol.asyncDispose]: close
  }
}

interface Opened {
  readonly database: Database
  readonly pool: Pool
  readonly access: Access
  readonly add: ScheduleOne
  readonly migrate: () => Promise<MigrationReport>
}

function checkCount(value: number, doing: string, name: string): void {
  if (Number.isInteger(value) && value > 0) return
  throw new RangeError(`Cannot ${doing}: ${name} is ${value}, not a whole number from 1`)
}
