import type { Sql } from 'postgres'
import { checkDefaults } from './check.ts'
import { BACKGROUND_OPTIONS, type BackgroundClient, type BackgroundOptions, DEFAULTS } from './client.ts'
import { isSchemaMissing, type MigrationReport, migrate, requireSchema } from './database/migrate.ts'
import { connect, type Database, openDatabase } from './database/open.ts'
import { createOpener, isServerGone } from './database/opener.ts'
import { createPool, type Pool, poolOf } from './database/pool.ts'
import { requireDatabase } from './database/require-database.ts'
import { TransactionError } from './database/session.ts'
import { executeInTransaction } from './enqueue/adapters.ts'
import { reschedule, toChanges, toTarget, unschedule } from './enqueue/change.ts'
import { createForeignScheduler } from './enqueue/foreign.ts'
import { createGate } from './enqueue/gate.ts'
import { createGroups, type ScheduleOne } from './enqueue/group.ts'
import { type ManyGiven, scheduleMany } from './enqueue/many.ts'
import { explainOutcome } from './enqueue/outcome.ts'
import { DEFAULT_MAX_BYTES } from './enqueue/payload.ts'
import { createRegistry } from './enqueue/registry.ts'
import { type AnyOptions, JOB_OPTIONS, type JobSettings, toNewJob, toRequest } from './enqueue/request.ts'
import { BackgroundError } from './errors.ts'
import type { BulkOptions, Cancel, JobSelection } from './inspector.ts'
import { refuseUnknown } from './known.ts'
import { idOf } from './ledger/find.ts'
import { createInspection } from './ledger/inspection.ts'
import { createInspector } from './ledger/inspector.ts'
import { createResults } from './ledger/results.ts'
import { createToScheduled } from './ledger/scheduled.ts'
import { isReference } from './ledger/selection.ts'
import { silentLogger } from './logger.ts'
import { createSafeLogger } from './safe-logger.ts'
import type { ManyOptions, ScheduleMany } from './schedule.ts'
import { cancelJob } from './sql/cancel.ts'
import type { Access } from './sql/statement.ts'

/**
 * A way to schedule jobs in a database of its own, for applications that use several. It connects when first used.
 *
 * @throws {TypeError} if an option has a wrong type, or there is no such option
 * @example
 * ```ts
 * import { createBackground } from 'kretes'
 *
 * await using billing = createBackground({ connection: process.env.BILLING_DATABASE_URL })
 * await billing.schedule({ task: 'SendInvoice', payload: { invoice: 42 } })
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
  const gate = createGate(maxPending)
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
    const migrateHere = (): Promise<MigrationReport> => migrate(database, schema)
    const access: Access = { execute: pool.execute, schema, isOurs: true }
    const add = createGroups({ access, migrate: migrateHere })
    return { database, template, pool, access, add, migrate: migrateHere }
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

  async function use<Result>(what: string, work: (opened: Opened) => Promise<Result>): Promise<Result> {
    if (closing) throw new BackgroundError('CLOSED', `Cannot ${what}: this Background was closed`)
    const turn = gate.enter()
    if (turn) await turn
    let opened: Opened | undefined
    try {
      // Awaited even when it is there, so that no call overtakes those that waited for it.
      opened = await opener.open()
      return await work(opened)
    } catch (error) {
      const reason = error instanceof TransactionError ? error.cause : error
      if (opened && isServerGone(opened.database, reason)) opener.forget(opened)
      throw explainOutcome(error, what, opened?.database.label ?? 'the database')
    } finally {
      gate.leave()
    }
  }

  /** Does what concerns jobs that are there: where nothing is, it says so and creates nothing. */
  async function useWhatIsThere<Result>(what: string, work: (opened: Opened) => Promise<Result>): Promise<Result> {
    if (!opener.isOpening && !closing) await requireDatabase(connection, what)
    return await use(what, async opened => {
      try {
        return await work(opened)
      } catch (error) {
        if (!isSchemaMissing(error)) throw error
        await requireSchema(opened.database, schema, what)
        return await work(opened)
      }
    })
  }

  const { cancelMany, ...inspector } = createInspector((what, work) =>
    useWhatIsThere(what, ({ access, pool }) => work({ access, transact: pool.transact }))
  )

  async function closeAll(): Promise<void> {
    await results.close()
    await gate.whenEmpty()
    await opener.close()
  }

  return {
    async schedule(given: AnyOptions) {
      const request = toRequest(given, defaults)
      return await use(`schedule ${request.task}`, async ({ access, add }) => {
        if (registry.isUnread(given.task)) await registry.learn(given.task, access)
        const registered = registry.defaultsOf(given.task)
        const job = toNewJob(
          given,
          registered ? toRequest(given, defaults, JOB_OPTIONS, registered) : request,
          settings
        )
        return toScheduled(await add(job instanceof Promise ? await job : job))
      })
    },
    scheduleMany: ((given: ManyGiven, many: ManyOptions = {}) =>
      use('schedule many jobs', ({ access, pool, migrate }) =>
        scheduleMany(given, many, settings, { access, transact: pool.transact, migrate, toScheduled, registry })
      )) as ScheduleMany,
    async unschedule(job) {
      const target = toTarget(job, 'unschedule')
      return await useWhatIsThere('unschedule a job', ({ access }) => unschedule(access, target))
    },
    async reschedule(job, given) {
      const target = toTarget(job, 'reschedule')
      const changes = toChanges(given)
      return await useWhatIsThere('reschedule a job', ({ access }) => reschedule(access, target, changes))
    },
    cancel: (async (selection: JobSelection, options?: BulkOptions) => {
      if (!isReference(selection)) return await cancelMany(selection, options)
      if (options) throw new TypeError('Cannot cancel a job: options are for many. Give it in a list: cancel([job], …)')
      const target = toTarget(selection, 'cancel')
      return await useWhatIsThere('cancel a job', ({ access }) => cancelJob(access, target))
    }) as Cancel,
    ...inspector,
    async result(job, options) {
      const target = toTarget(job, 'wait for')
      const id = await useWhatIsThere('wait for a job', ({ access }) => idOf(access, target))
      return await results.wait({ id, since: null }, options)
    },
    with: transaction => createForeignScheduler(executeInTransaction(transaction), settings, { toScheduled, registry }),
    ...createInspection(useWhatIsThere, schema),
    migrate: () => use('migrate the database', ({ migrate }) => migrate()),
    close: () => (closing ??= closeAll()),
    [Symbol.asyncDispose]: () => (closing ??= closeAll())
  }
}

interface Opened {
  readonly database: Database
  /** A client that has the options to connect with. */
  readonly template: Sql
  readonly pool: Pool
  readonly access: Access
  readonly add: ScheduleOne
  readonly migrate: () => Promise<MigrationReport>
}

function checkCount(value: number, doing: string, name: string): void {
  if (Number.isInteger(value) && value > 0) return
  throw new RangeError(`Cannot ${doing}: ${name} is ${value}, not a whole number from 1`)
}
