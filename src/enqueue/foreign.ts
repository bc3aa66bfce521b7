import { BackgroundError } from '../errors.ts'
import type { ToScheduled } from '../ledger/scheduled.ts'
import type { ManyOptions, ScheduleMany, Scheduler } from '../schedule.ts'
import { cancelJob } from '../sql/cancel.ts'
import type { Access, Execute, Statement } from '../sql/statement.ts'
import { reschedule, toChanges, toTarget, unschedule } from './change.ts'
import { insist } from './group.ts'
import { type ManyGiven, scheduleMany } from './many.ts'
import { type AnyOptions, type JobSettings, toNewJob, toRequest } from './request.ts'
import { toJobTarget } from './target.ts'

/**
 * Schedules in a transaction of somebody else's, statement by statement. Its errors stay as they are, since callers
 * tell by them whether to try the transaction again; but where there is nothing to schedule in, we know why.
 */
export function createForeignScheduler(
  executeAsIs: Execute,
  settings: JobSettings,
  toScheduled: ToScheduled
): Scheduler {
  const { schema, defaults } = settings

  async function execute<Row>(statement: Statement): Promise<readonly Row[]> {
    try {
      return await executeAsIs<Row>(statement)
    } catch (error) {
      if (!NOT_MIGRATED_STATES.has(stateOf(error) ?? '')) throw error
      throw new BackgroundError(
        'MIGRATION',
        `Cannot schedule in a transaction: the schema ${schema} is missing or out of date. Migrate it ahead, with Background.migrate() or: kretes background migrate`,
        { cause: error }
      )
    }
  }

  const access: Access = { execute, schema, isOurs: false }
  return {
    async schedule(given: AnyOptions) {
      const job = toNewJob(given, toRequest(given, defaults), settings)
      // Sent at once where it can be, so that calls keep their order.
      return toScheduled(await insist(access, job instanceof Promise ? await job : job))
    },
    // All or nothing is the transaction's business.
    scheduleMany: (async (given: ManyGiven, many: ManyOptions = {}) =>
      scheduleMany(given, { ...many, atomic: false }, settings, { access, toScheduled })) as ScheduleMany,
    async unschedule(job) {
      return await unschedule(access, toTarget(job, 'unschedule'))
    },
    async reschedule(job, changes) {
      return await reschedule(access, toTarget(job, 'reschedule'), toChanges(changes))
    },
    async cancel(job) {
      return await cancelJob(access, toJobTarget(job, 'cancel'))
    }
  }
}

const NOT_MIGRATED_STATES = new Set([
  '3F000', // no such schema
  '42P01', // no such table
  '42704', // no such type
  '42883' // no such function
])

/** The SQLSTATE of an error, wherever its library keeps it: on itself, as Knex, or on what it wraps. */
function stateOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const { code, originalCode, cause, meta, driverAdapterError } = error as Record<string, unknown>
  // Prisma has codes of five characters too, P2010 for one.
  const state = typeof originalCode === 'string' ? originalCode : code
  return (
    [meta, driverAdapterError, cause].map(stateOf).find(inner => inner !== undefined) ??
    (typeof state === 'string' && /^[0-9A-Z]{5}$/.test(state) ? state : undefined)
  )
}
