import { insist } from './enqueue/group.ts'
import type { Registry } from './enqueue/registry.ts'
import { type AnyOptions, JOB_OPTIONS, type JobSettings, toNewJob, toRequest } from './enqueue/request.ts'
import { type ManyGiven, scheduleMany } from './enqueue/schedule-many.ts'
import { BackgroundError } from './errors.ts'
import { reschedule, toChanges, toTarget, unschedule } from './manage/reschedule.ts'
import type { ToScheduled } from './results/scheduled-job.ts'
import type { ManyOptions, ScheduleMany, Scheduler } from './schedule.ts'
import { cancelJob } from './sql/cancel.ts'
import { ownSchema } from './sql/names.ts'
import type { Access, Execute, Statement } from './sql/statement.ts'

/**
 * Schedules in a transaction of somebody else's, statement by statement. Its errors stay as they are, since callers
 * tell by them whether to try the transaction again; but where there is nothing to schedule in, we know why.
 */
export function createForeignScheduler(
  executeAsIs: Execute,
  settings: JobSettings,
  { toScheduled, registry }: { readonly toScheduled: ToScheduled; readonly registry: Registry }
): Scheduler {
  const { schema, defaults } = settings

  async function execute<Row>(statement: Statement): Promise<readonly Row[]> {
    try {
      return await executeAsIs<Row>(statement)
    } catch (error) {
      if (!isUnmigrated(error, schema)) throw error
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
      const request = toRequest(given, defaults)
      if (registry.isUnread(given.task)) await registry.learn(given.task, access)
      const registered = registry.defaultsOf(given.task)
      const job = toNewJob(given, registered ? toRequest(given, defaults, JOB_OPTIONS, registered) : request, settings)
      // Sent at once where it can be, so that calls keep their order.
      return toScheduled(await insist(access, job instanceof Promise ? await job : job))
    },
    // All or nothing is the transaction's business.
    scheduleMany: (async (given: ManyGiven, many: ManyOptions = {}) =>
      scheduleMany(given, { ...many, atomic: false }, settings, { access, toScheduled, registry })) as ScheduleMany,
    async unschedule(job) {
      return await unschedule(access, toTarget(job, 'unschedule'))
    },
    async reschedule(job, changes) {
      return await reschedule(access, toTarget(job, 'reschedule'), toChanges(changes))
    },
    async cancel(job) {
      return await cancelJob(access, toTarget(job, 'cancel'))
    }
  }
}

/** Whether it is our schema that lacks something. A trigger of the user's may do so, too. */
function isUnmigrated(error: unknown, schema: string): boolean {
  const { state, message } = answerIn(error) ?? {}
  if (!state || !message || !NOT_MIGRATED_STATES.has(state)) return false
  // Knex puts the statement in front, which names the schema whatever is missing.
  const said = message.slice(message.lastIndexOf(' - ') + 1)
  return [schema, ownSchema(schema)].some(name => namePattern(name).test(said))
}

const NOT_MIGRATED_STATES = new Set([
  '3F000', // no such schema
  '42P01', // no such table
  '42704', // no such type
  '42883' // no such function
])

/** As a word of its own. */
function namePattern(name: string): RegExp {
  return new RegExp(`(?<![\\w$])${name.replace(/[^\w]/g, '\\$&')}(?![\\w$])`)
}

/** What the server has answered. */
interface Answer {
  readonly state: string
  readonly message: string
}

/** The answer behind an error, wherever its library keeps it: in itself, as Knex, or in what it wraps. */
function answerIn(error: unknown): Answer | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const { code, originalCode, message, originalMessage, cause, meta, driverAdapterError } = error as Record<
    string,
    unknown
  >
  for (const wrapped of [meta, driverAdapterError, cause]) {
    const inner = answerIn(wrapped)
    if (inner) return inner
  }
  // Prisma has codes of five characters too, P2010 for one.
  const state = originalCode ?? code
  if (typeof state !== 'string' || !/^[0-9A-Z]{5}$/.test(state)) return undefined
  return { state, message: String(originalMessage ?? message) }
}
