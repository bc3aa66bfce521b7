import { type Names, refuseUnknown } from '../check/options.ts'
import { untilNoConflict } from '../database/connections/repeat.ts'
import { codeOf, isSchemaMissing } from '../database/failure.ts'
import { NEWEST_OF_ENGINE } from '../database/migrate.ts'
import type { Job, ScheduledJob } from '../job.ts'
import { isPerKey } from '../limit/lane.ts'
import type { ManyOptions, PayloadsOptions } from '../schedule.ts'
import { addUnseen, type NewJob } from '../sql/jobs/add.ts'
import { addAlike, addAlikeUnseen, toNewJobs } from '../sql/jobs/add-alike.ts'
import { isSchemaAt } from '../sql/jobs/waiting.ts'
import type { Access, Execute, Transact } from '../sql/statement.ts'
import { optionsOf } from '../task.ts'
import { addAgain, addAll } from './add.ts'
import { type Chunk, type ChunkReader, gatherJobs, gatherPayloads, readChunks } from './chunk.ts'
import type { Registry } from './registry.ts'
import { type AnyOptions, JOB_OPTIONS, type JobSettings, toNewJob, toPayload, toRequest } from './request.ts'

/** The jobs of a call: one task with payloads, or jobs of any tasks. */
export type ManyGiven = PayloadsOptions | Iterable<AnyOptions> | AsyncIterable<AnyOptions>

/** How {@linkcode scheduleMany} reaches the database. */
export interface ManyAccess {
  readonly access: Access
  /** Runs work in a transaction; absent if one is open already. */
  readonly transact?: Transact
  /** Brings the schema up to date; absent in a transaction of the caller. */
  readonly migrate?: () => Promise<unknown>
  /** Adds `result()` to a job that is returned. */
  toScheduled(job: Job): ScheduledJob<never>
  readonly registry: Registry
}

/** Schedules many jobs, and returns them or their number. */
export async function scheduleMany(
  given: ManyGiven,
  many: ManyOptions,
  settings: JobSettings,
  manyAccess: ManyAccess
): Promise<ScheduledJob[] | number> {
  refuseUnknown(many, MANY_OPTIONS, 'schedule many jobs')
  const schedule = (): Promise<ScheduledJob[] | number> => scheduleOnce(given, many, settings, manyAccess)
  // Calls with the same keys in another order may deadlock. An iterator's jobs cannot be read a second time.
  const isRepeatable = Array.isArray(given) && many.atomic !== false && manyAccess.transact
  return await (isRepeatable ? untilNoConflict(schedule) : schedule())
}

async function scheduleOnce(
  given: ManyGiven,
  many: ManyOptions,
  settings: JobSettings,
  { access, transact, migrate, toScheduled, registry }: ManyAccess
): Promise<ScheduledJob[] | number> {
  const { atomic = true, returning = true } = many
  if (!isIterable(given) && given && registry.isUnread(given.task)) await registry.learn(given.task, access)
  const chunks = open(given, settings, returning, { access, registry })
  try {
    const ahead = [await chunks.read(), await chunks.read()]
    if (migrate) await migrateIfMissing(access, migrate)
    const read = (): Promise<Chunk | undefined> | Chunk | undefined =>
      ahead.length > 0 ? ahead.shift() : chunks.read()
    const send = (execute: Execute, width: number): Promise<Sent> =>
      sendChunks({ ...access, execute }, read, many, width)
    const isTransaction = atomic && transact && !fitOneStatement(ahead)
    const sending = isTransaction ? transact(execute => send(execute, 2)) : send(access.execute, 1)
    const { jobs, count } = await sending
    return returning ? jobs.map(toScheduled) : count
  } finally {
    await chunks.leave()
  }
}

function open(
  given: ManyGiven,
  settings: JobSettings,
  returning: boolean,
  { access, registry }: Pick<ManyAccess, 'access' | 'registry'>
): ChunkReader {
  const { defaults } = settings
  if (isIterable(given)) {
    const make = (options: AnyOptions): NewJob | Promise<NewJob> =>
      toNewJob(options, toRequest(options, defaults, JOB_OPTIONS, registry.defaultsOf(options?.task)), settings)
    return readChunks(
      given,
      options =>
        registry.isUnread(options?.task)
          ? registry.learn(options.task, access).then(() => make(options))
          : make(options),
      gatherJobs()
    )
  }
  const { payloads, ...rest } = given ?? {}
  const { task } = rest
  const request = toRequest(rest, defaults, PAYLOADS_OPTIONS, registry.defaultsOf(task))
  if (!isIterable(payloads)) throw new TypeError(`Cannot schedule ${request.task}: payloads is not iterable`)
  const { queue, runAt } = request
  const { limit } = optionsOf(task)
  const areAlike = !(limit && isPerKey(limit)) && !(returning && queue !== null && runAt !== null)
  if (areAlike) {
    const make = (payload: unknown): string | Promise<string> => toPayload({ task, payload }, settings, request.task)
    return readChunks(payloads, make, gatherPayloads(request))
  }
  return readChunks(payloads, payload => toNewJob({ task, payload }, request, settings), gatherJobs())
}

/** The names of the {@linkcode ManyOptions}, for checks. */
export const MANY_OPTIONS: Names<ManyOptions> = { atomic: true, returning: true, onProgress: true }

/** The names of the {@linkcode PayloadsOptions}, besides the payloads, for checks. */
export const PAYLOADS_OPTIONS: Names<Omit<PayloadsOptions, 'payloads'>> = {
  task: true,
  queue: true,
  priority: true,
  maxAttempts: true,
  runAt: true,
  delay: true
}

function isIterable(value: unknown): value is Iterable<AnyOptions> | AsyncIterable<AnyOptions> {
  return typeof value === 'object' && value !== null && (Symbol.iterator in value || Symbol.asyncIterator in value)
}

/** Asks the database once, unless that fails. */
async function migrateIfMissing(access: Access, migrate: () => Promise<unknown>): Promise<void> {
  if (migrated.has(access)) return
  // Another process may be migrating: the first table exists long before the last function does.
  const isThere = await isSchemaAt(access, NEWEST_OF_ENGINE).catch(error => {
    if (isSchemaMissing(error)) return false
    // A role that may schedule need not have the right to look.
    if (codeOf(error) === FORBIDDEN) return true
    throw error
  })
  if (!isThere) await migrate()
  migrated.add(access)
}

const FORBIDDEN = '42501'

/** Databases with a schema. */
const migrated = new WeakSet<Access>()

/** A single statement is atomic. A job with a key may need a second one. */
function fitOneStatement([first, second]: readonly (Chunk | undefined)[]): boolean {
  return !second && !(first && hasKeys(first))
}

function hasKeys(chunk: Chunk): boolean {
  return isList(chunk) && chunk.some(({ key }) => key !== null)
}

function isList(chunk: Chunk): chunk is Extract<Chunk, readonly unknown[]> {
  return Array.isArray(chunk)
}

/** The jobs that were sent so far. */
interface Sent {
  count: number
  /** Empty if the caller wants only their number. */
  readonly jobs: Job[]
}

/**
 * Sends chunks one after another, because jobs run in the order in which their statements begin. While chunks are under
 * way, the next one is read.
 *
 * @param width how many chunks may be under way; more than one only over a single connection, which keeps their order
 */
async function sendChunks(
  access: Access,
  read: () => Promise<Chunk | undefined> | Chunk | undefined,
  { returning = true, onProgress }: ManyOptions,
  width: number
): Promise<Sent> {
  const sent: Sent = { count: 0, jobs: [] }
  const underWay: { readonly sending: Promise<readonly Job[]>; readonly count: number }[] = []

  async function settle(room: number): Promise<void> {
    while (underWay.length > room) {
      const [{ sending, count }] = underWay as [(typeof underWay)[number]]
      for (const job of await sending) sent.jobs.push(job)
      underWay.shift()
      sent.count += count
      onProgress?.(sent.count)
    }
  }

  try {
    let isStrict = false
    for (let chunk = await read(); chunk; chunk = await read()) {
      // Jobs with keys may need a second statement, and no other chunk may come before it.
      const wasStrict = isStrict
      isStrict = hasKeys(chunk)
      await settle(isStrict || wasStrict ? 0 : width - 1)
      underWay.push({ sending: sendChunk(access, chunk, returning), count: isList(chunk) ? chunk.length : chunk.count })
      underWay.at(-1)?.sending.catch(() => {})
    }
    await settle(0)
    return sent
  } catch (error) {
    // Waits for all chunks under way, and reports the first failure.
    const outcomes = await Promise.allSettled(underWay.map(({ sending }) => sending))
    throw outcomes.find(outcome => outcome.status === 'rejected')?.reason ?? error
  }
}

async function sendChunk(access: Access, chunk: Chunk, returning: boolean): Promise<readonly Job[]> {
  if (!returning && !hasKeys(chunk)) {
    await (isList(chunk) ? addUnseen(access, chunk) : addAlikeUnseen(access, chunk))
    return []
  }
  const alike = isList(chunk) ? undefined : await addAlike(access, chunk)
  if (alike) return alike
  const jobs = isList(chunk) ? chunk : toNewJobs(chunk)
  const added = await addAll(access, jobs)
  const all: Job[] = []
  for (const [index, job] of jobs.entries()) all.push(added[index] ?? (await addAgain(access, job)))
  return returning ? all : []
}
