import { checkDefaults } from './check.ts'
import type { BackgroundClient, BackgroundOptions } from './client.ts'
import { type MigrationReport, migrate } from './database/migrate.ts'
import { connect, type Database, openDatabase } from './database/open.ts'
import { createPool, type Pool, poolOf } from './database/pool.ts'
import { executeInTransaction } from './enqueue/adapters.ts'
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
import { createInspection } from './ledger/inspection.ts'
import { silentLogger } from './logger.ts'
import type { ManyOptions, ScheduleMany } from './schedule.ts'
import { cancelJob } from './sql/cancel.ts'
import type { Access } from './sql/statement.ts'

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
    ...createInspection(use, schema),
    with: transaction => createForeignScheduler(executeInTransaction(transaction), settings),
    migrate: () => use('migrate the database', ({ migrate }) => migrate()),
    close: () => (closing ??= closeAll()),
    [Symbol.asyncDispose]: () => (closing ??= closeAll())
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
