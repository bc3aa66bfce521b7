import { type Names, refuseUnknown } from '../check/options.ts'
import { withoutDeadlock } from '../database/deadlock.ts'
import { codeOf } from '../database/failure.ts'
import { isSchemaMissing, NEWEST_OF_ENGINE } from '../database/migrate.ts'
import type { Job, ScheduledJob } from '../job.ts'
import type { ToScheduled } from '../results/scheduled-job.ts'
import type { ManyOptions, PayloadsOptions } from '../schedule.ts'
import { addUnseen, type NewJob } from '../sql/add.ts'
import { addAlike, addAlikeUnseen, toNewJobs } from '../sql/add-alike.ts'
import type { Access, Execute } from '../sql/statement.ts'
import { isSchemaAt } from '../sql/waiting.ts'
import { type Chunk, type ChunkReader, gatherJobs, gatherPayloads, readChunks } from './chunk.ts'
import { addAgain, addAll } from './group.ts'
import type { Registry } from './registry.ts'
import { type AnyOptions, JOB_OPTIONS, type JobSettings, toNewJob, toPayload, toRequest } from './request.ts'

/** What callers give: one task with payloads, or jobs of any tasks. */
export type ManyGiven = PayloadsOptions | Iterable<AnyOptions> | AsyncIterable<AnyOptions>

/** How statements reach the database. */
export interface ManyAccess {
  readonly access: Access
  /** Runs work in a transaction; not there where one is open already. */
  readonly transact?: <Result>(work: (execute: Execute) => Promise<Result>) => Promise<Result>
  /** Brings the schema up to date; not there where that is not ours to do. */
  readonly migrate?: () => Promise<unknown>
  /** What jobs become that are returned. */
  readonly toScheduled: ToScheduled
  readonly registry: Registry
}

/** Schedules many jobs; returns them, or their number. */
export async function scheduleMany(
  given: ManyGiven,
  many: ManyOptions,
  settings: JobSettings,
  manyAccess: ManyAccess
): Promise<ScheduledJob[] | number> {
  refuseUnknown(many, MANY_OPTIONS, 'schedule many jobs')
  const schedule = (): Promise<ScheduledJob[] | number> => scheduleOnce(given, many, settings, manyAccess)
  // Calls with the same keys in another order may lock each other out. What comes from an iterator comes only once.
  const isRepeatable = Array.isArray(given) && many.atomic !== false && manyAccess.transact
  return await (isRepeatable ? withoutDeadlock(schedule) : schedule())
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
  if (!isIterable(payloads)) throw new TypeError(`Cannot schedule ${request.task}: payloads is no iterable of payloads`)
  const { queue, runAt } = request
  if (!(returning && queue !== null && runAt !== null)) {
    const make = (payload: unknown): string | Promise<string> => toPayload({ task, payload }, settings, request.task)
    return readChunks(payloads, make, gatherPayloads(request))
  }
  return readChunks(payloads, payload => toNewJob({ task, payload }, request, settings), gatherJobs())
}

/** What {@linkcode ManyOptions} may hold. */
export const MANY_OPTIONS: Names<ManyOptions> = { atomic: true, returning: true, onProgress: true }

/** What {@linkcode PayloadsOptions} may hold, besides the payloads. */
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

/** Asks once, as long as all goes well. */
async function migrateIfMissing(access: Access, migrate: () => Promise<unknown>): Promise<void> {
  if (migrated.has(access)) return
  // Somebody may be migrating at this moment: a table is there long before the last function is.
  const isThere = await isSchemaAt(access, NEWEST_OF_ENGINE).catch(error => {
    if (isSchemaMissing(error)) return false
    // Who may schedule need not be allowed to look.
    if (codeOf(error) === FORBIDDEN) return true
    throw error
  })
  if (!isThere) await migrate()
  migrated.add(access)
}

const FORBIDDEN = '42501'

/** Where the schema was found. */
const migrated = new WeakSet<Access>()

/** One statement is atomic by itself. A job with a key may take a second one. */
function fitOneStatement([first, second]: readonly (Chunk | undefined)[]): boolean {
  return !second && !(first && hasKeys(first))
}

function hasKeys(chunk: Chunk): boolean {
  return isList(chunk) && chunk.some(({ key }) => key !== null)
}

function isList(chunk: Chunk): chunk is Extract<Chunk, readonly unknown[]> {
  return Array.isArray(chunk)
}

/** What was sent so far. */
interface Sent {
  count: number
  /** Empty unless they are asked for. */
  readonly jobs: Job[]
}

/**
 * Sends chunks one after another: jobs run in the order in which their statements began. While some are under way the
 * next is put together.
 *
 * @param width how many may be under way; more than one only over a single connection, which keeps them in order
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
      // Jobs with keys may take a second statement, before which nothing else may come.
      const wasStrict = isStrict
      isStrict = hasKeys(chunk)
      await settle(isStrict || wasStrict ? 0 : width - 1)
      underWay.push({ sending: sendChunk(access, chunk, returning), count: isList(chunk) ? chunk.length : chunk.count })
      underWay.at(-1)?.sending.catch(() => {})
    }
    await settle(0)
    return sent
  } catch (error) {
    // Nothing is left under way, and what failed first is told.
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
