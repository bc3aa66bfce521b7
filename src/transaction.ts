import type { TransactionScheduler } from './client.ts'
import { addOne } from './enqueue/add.ts'
import type { Registry } from './enqueue/registry.ts'
import { type AnyOptions, type JobSettings, toRequest } from './enqueue/request.ts'
import { schedule } from './enqueue/schedule.ts'
import { type ManyGiven, scheduleMany } from './enqueue/schedule-many.ts'
import { BackgroundError } from './errors.ts'
import type { Job, ScheduledJob } from './job.ts'
import { reschedule, toChanges, unschedule } from './manage/reschedule.ts'
import { createRecurringJobs } from './recurring/calls.ts'
import { toTarget } from './reference.ts'
import type { ManyOptions, ScheduleMany } from './schedule.ts'
import { cancelJob } from './sql/jobs/cancel.ts'
import { ownSchema } from './sql/names.ts'
import type { Access, Execute, Statement } from './sql/statement.ts'

/**
 * Creates a scheduler that works in a transaction of the caller, statement by statement. Errors of the database stay as
 * the caller's library throws them, because callers decide by them whether to repeat the transaction. Only a missing
 * schema is reported in our own words.
 */
export function createTransactionScheduler(
  executeAsIs: Execute,
  settings: JobSettings,
  { toScheduled, registry }: { toScheduled(job: Job): ScheduledJob<never>; readonly registry: Registry }
): TransactionScheduler {
  const { schema, defaults } = settings

  async function execute<Row>(statement: Statement): Promise<readonly Row[]> {
    try {
      return await executeAsIs<Row>(statement)
    } catch (error) {
      if (!isUnmigrated(error, schema)) throw error
      throw new BackgroundError(
        'MIGRATION',
        `Cannot schedule in a transaction: the schema ${schema} is missing or out of date. Migrate it first, with Background.migrate() or: kretes background migrate`,
        { cause: error }
      )
    }
  }

  const access: Access = { execute, schema, isOurs: false }
  const here = <Result>(_doing: string, work: (access: Access) => Promise<Result>): Promise<Result> => work(access)
  return {
    recurring: createRecurringJobs({ settings, registry, toScheduled, use: here, useExisting: here }),
    async schedule(options: AnyOptions) {
      const add = addOne.bind(undefined, access)
      return toScheduled(await schedule(options, toRequest(options, defaults), settings, { access, registry, add }))
    },
    // The caller's transaction makes it all or nothing.
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

/** Whether something is missing in our schemas. A trigger of the application may fail in the same way. */
function isUnmigrated(error: unknown, schema: string): boolean {
  const { state, message } = answerIn(error) ?? {}
  if (!state || !message || !NOT_MIGRATED_STATES.has(state)) return false
  // Knex puts the statement before the message, and the statement always names the schema.
  const reason = message.slice(message.lastIndexOf(' - ') + 1)
  return [schema, ownSchema(schema)].some(name => wordPattern(name).test(reason))
}

const NOT_MIGRATED_STATES = new Set([
  '3F000', // no such schema
  '42P01', // no such table
  '42704', // no such type
  '42883' // no such function
])

function wordPattern(word: string): RegExp {
  return new RegExp(`(?<![\\w$])${word.replace(/[^\w]/g, '\\$&')}(?![\\w$])`)
}

/** An error of the server. */
interface Answer {
  readonly state: string
  readonly message: string
}

/** Finds the server's error in the error itself, as Knex throws it, or in the error or data that it wraps. */
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
  // Prisma's own codes have five characters too, such as P2010.
  const state = originalCode ?? code
  if (typeof state !== 'string' || !/^[0-9A-Z]{5}$/.test(state)) return undefined
  return { state, message: String(originalMessage ?? message) }
}
