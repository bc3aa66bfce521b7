import type { Sql } from 'postgres'
import { checkDefaults } from './check/defaults.ts'
import { refuseUnknown } from './check/options.ts'
import { BACKGROUND_OPTIONS, type BackgroundClient, type BackgroundOptions, DEFAULTS } from './client.ts'
import { createPool, type Pool, poolOf } from './database/connections/pool.ts'
import { withoutConflicts, withSchema } from './database/connections/repeat.ts'
import { reasonOf } from './database/connections/transaction.ts'
import { type MigrationReport, migrate, requireSchema } from './database/migrate.ts'
import { connect, type Database, openDatabase } from './database/open.ts'
import { createOpener, isServerGone } from './database/opener.ts'
import { requireDatabase } from './database/require-database.ts'
import { createDiagnosis } from './diagnose/diagnose.ts'
import { executeInTransaction } from './enqueue/adapters.ts'
import { explainOutcome } from './enqueue/failure.ts'
import { type AddOne, createGroups } from './enqueue/group.ts'
import { DEFAULT_MAX_BYTES } from './enqueue/payload.ts'
import { createRegistry } from './enqueue/registry.ts'
import { type AnyOptions, type JobSettings, toRequest } from './enqueue/request.ts'
import { schedule } from './enqueue/schedule.ts'
import { type ManyGiven, scheduleMany } from './enqueue/schedule-many.ts'
import { createSemaphore } from './enqueue/semaphore.ts'
import { BackgroundError } from './errors.ts'
import { createLimitControl } from './flow/limits.ts'
import { createPausing } from './flow/pauses.ts'
import { createPruning } from './ledger/prune.ts'
import { createSafeLogger, silentLogger } from './logger.ts'
import type { BulkAccess } from './manage/bulk.ts'
import { createManagement } from './manage/manage.ts'
import { createRecurringJobs } from './recurring/calls.ts'
import { toTarget } from './reference.ts'
import { findJobId } from './results/find.ts'
import { createResults } from './results/results.ts'
import { createToScheduled } from './results/scheduled-job.ts'
import type { ManyOptions, ScheduleMany } from './schedule.ts'
import type { Access, Connections } from './sql/statement.ts'
import { createTransactionScheduler } from './transaction.ts'

/**
 * Creates a client for a database of its own, for applications that use several databases. It connects on first use.
 *
 * @throws {TypeError} if an option has the wrong type, or there is no such option
 * @throws {RangeError} if an option is out of range
 * @example
 * ```ts
 * import { createBackground } from 'kretes'
 *
 * const billing = createBackground({ connection: process.env.BILLING_DATABASE_URL })
 * await billing.schedule({ task: 'SendInvoice', payload: { invoice: 42 } })
 * await billing.close()
 * ```
 */
export function createBackground(options: BackgroundOptions = {}): BackgroundClient {
  const doing = 'create a Background'
  refuseUnknown(options, BACKGROUND_OPTIONS, doing)
  const { connection, schema = 'graphile_worker', prepare = true } = options
  const logger = options.logger ? createSafeLogger(options.logger) : silentLogger
  const { maxConnections = 4, maxPending = 10_000, defaults = {}, maxPayloadBytes = DEFAULT_MAX_BYTES } = options
  refuseUnknown(defaults, DEFAULTS, doing, 'default')
  checkCount(maxConnections, doing, 'maxConnections')
  checkCount(maxPending, doing, 'maxPending')
  checkCount(maxPayloadBytes, doing, 'maxPayloadBytes')
  checkDefaults(defaults, doing)
  const settings: JobSettings = { schema, defaults, maxPayloadBytes }
  const calls = createSemaphore(maxPending)
  const registry = createRegistry(options.logger && logger)
  const opener = createOpener(open, async ({ pool, database }) => {
    await pool.end()
    await database.release()
  })
  let closing: Promise<void> | undefined

  async function open(): Promise<Opened> {
    const database = await openDatabase({ connection, onProgress: message => logger.info(message) })
    const { client } = database
    const template = client ?? connect(database, { max: maxConnections, prepare, name: 'kretes' })
    const pool = client ? poolOf(client) : createPool(template, maxConnections)
    const connections = withoutConflicts(pool)
    const migrateHere = (): Promise<MigrationReport> => migrate(database, schema)
    const access: Access = { execute: connections.execute, schema, isOurs: true }
    let underWay: Promise<unknown> | undefined
    const migrateOnce = (): Promise<unknown> => (underWay ??= migrateHere().finally(() => (underWay = undefined)))
    const migrating: Access = { ...access, execute: withSchema(connections, migrateOnce).execute }
    return {
      database,
      template,
      pool,
      connections,
      access,
      migrating,
      add: createGroups(migrating),
      migrate: migrateHere
    }
  }

  const results = createResults({
    schema,
    logger,
    async reach() {
      const { database, template } = await opener.open()
      const { label } = database
      return { client: template, label, migrate: () => migrate(database, schema, { mayInstall: false }) }
    }
  })
  const toScheduled = createToScheduled(results)

  async function use<Result>(doing: string, work: (opened: Opened) => Promise<Result>): Promise<Result> {
    if (closing) throw new BackgroundError('CLOSED', `Cannot ${doing}: this Background was closed`)
    const turn = calls.acquire()
    if (turn) await turn
    let opened: Opened | undefined
    try {
      // Awaited even when it is open, so that no call overtakes those that waited for it.
      opened = await opener.open()
      return await work(opened)
    } catch (error) {
      if (opened && isServerGone(opened.database, reasonOf(error))) opener.forget(opened)
      throw explainOutcome(error, doing, opened?.database.label ?? 'the database')
    } finally {
      calls.release()
    }
  }

  /** For calls that only look at or change what exists: they create neither a database nor a schema. */
  async function useExisting<Result>(doing: string, work: (existing: Existing) => Promise<Result>): Promise<Result> {
    if (!opener.isOpening && !closing) await requireDatabase(connection, doing)
    return await use(doing, ({ database, connections, access }) => {
      const { execute, transact } = withSchema(connections, () => requireSchema(database, schema, doing))
      return work({ database, access: { ...access, execute }, transact })
    })
  }

  async function closeAll(): Promise<void> {
    await results.close()
    await calls.whenIdle()
    await opener.close()
  }

  return {
    async schedule(options: AnyOptions) {
      const request = toRequest(options, defaults)
      return await use(`schedule ${request.task}`, async ({ access, add }) =>
        toScheduled(await schedule(options, request, settings, { access, registry, add }))
      )
    },
    scheduleMany: ((given: ManyGiven, many: ManyOptions = {}) =>
      use('schedule many jobs', ({ access, pool, migrate }) =>
        scheduleMany(given, many, settings, { access, transact: pool.transact, migrate, toScheduled, registry })
      )) as ScheduleMany,
    with: transaction =>
      createTransactionScheduler(executeInTransaction(transaction), settings, { toScheduled, registry }),
    async result(job, options) {
      const target = toTarget(job, 'wait for')
      const id = await useExisting('wait for a job', ({ access }) => findJobId(access, target))
      return await results.wait({ id, since: null }, options)
    },
    recurring: createRecurringJobs({
      settings,
      registry,
      toScheduled,
      use: (doing, work) => use(doing, ({ migrating }) => work(migrating)),
      useExisting: (doing, work) => useExisting(doing, ({ access }) => work(access))
    }),
    ...createManagement(useExisting),
    ...createPausing(useExisting),
    limits: createLimitControl(useExisting),
    ...createDiagnosis(useExisting, schema),
    ...createPruning(useExisting, schema),
    migrate: () => use('migrate the database', ({ migrate }) => migrate()),
    close: () => (closing ??= closeAll()),
    [Symbol.asyncDispose]: () => (closing ??= closeAll())
  }
}

interface Opened {
  readonly database: Database
  /** A client with the options to connect with. */
  readonly template: Sql
  readonly pool: Pool
  /** The pool; it repeats statements and transactions that the database has ended because of a conflict. */
  readonly connections: Connections
  readonly access: Access
  /** The same; it migrates the schema if a statement needs that. */
  readonly migrating: Access
  readonly add: AddOne
  readonly migrate: () => Promise<MigrationReport>
}

/** A database that has the schema. */
interface Existing extends BulkAccess {
  readonly database: Database
}

function checkCount(value: number, doing: string, name: string): void {
  if (Number.isInteger(value) && value > 0) return
  throw new RangeError(`Cannot ${doing}: ${name} is ${value}, not a whole number from 1`)
}
