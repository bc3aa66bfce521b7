import { isSchemaMissing } from '../database/migrate.ts'
import type { Job, ScheduledJob } from '../job.ts'
import type { ToScheduled } from '../ledger/scheduled.ts'
import type { ManyOptions, PayloadsOptions } from '../schedule.ts'
import { addUnseen } from '../sql/add.ts'
import type { Access, Execute } from '../sql/statement.ts'
import { findSchema } from '../sql/waiting.ts'
import { type Chunk, toChunks } from './chunk.ts'
import { addAll, insist } from './group.ts'
import { type AnyOptions, type JobSettings, toNewJob, toRequest } from './request.ts'

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
}

/** Schedules many jobs; returns them, or their number. */
export async function scheduleMany(
  given: ManyGiven,
  many: ManyOptions,
  settings: JobSettings,
  { access, transact, migrate, toScheduled }: ManyAccess
): Promise<ScheduledJob[] | number> {
  const { atomic = true, returning = true } = many
  const chunks = readChunks(given, settings)
  try {
    const ahead = [await nextOf(chunks), await nextOf(chunks)]
    if (migrate) await migrateIfMissing(access, migrate)
    const send = (execute: Execute): Promise<Sent> => sendChunks({ ...access, execute }, ahead, chunks, many)
    const isTransaction = atomic && transact && !fitOneStatement(ahead)
    const { jobs, count } = await (isTransaction ? transact(send) : send(access.execute))
    return returning ? jobs.map(toScheduled) : count
  } finally {
    // The iterable is left as a loop that breaks would leave it.
    await chunks.return(undefined)
  }
}

function readChunks(given: ManyGiven, settings: JobSettings): AsyncGenerator<Chunk> {
  const { defaults } = settings
  if (isIterable(given)) {
    return toChunks(given, options => toNewJob(options, toRequest(options, defaults), settings))
  }
  const { payloads, ...rest } = given ?? {}
  const request = toRequest(rest, defaults)
  if (!isIterable(payloads)) throw new TypeError(`Cannot schedule ${request.task}: payloads is no iterable of payloads`)
  return toChunks(payloads, payload => toNewJob({ task: rest.task, payload }, request, settings))
}

function isIterable(value: unknown): value is Iterable<AnyOptions> | AsyncIterable<AnyOptions> {
  return typeof value === 'object' && value !== null && (Symbol.iterator in value || Symbol.asyncIterator in value)
}

async function migrateIfMissing(access: Access, migrate: () => Promise<unknown>): Promise<void> {
  try {
    await findSchema(access)
  } catch (error) {
    if (!isSchemaMissing(error)) throw error
    await migrate()
  }
}

/** One statement is atomic by itself. A job with a key may take a second one. */
function fitOneStatement([first, second]: readonly (Chunk | undefined)[]): boolean {
  return !second && (first ?? []).every(({ key }) => key === null)
}

/** What was sent so far. */
interface Sent {
  count: number
  /** Empty unless they are asked for. */
  readonly jobs: Job[]
}

/**
 * Sends chunks one after another, first those that were read ahead. While one is under way the next is put together, but
 * not sent: jobs run in the order in which their statements began.
 */
async function sendChunks(
  access: Access,
  ahead: (Chunk | undefined)[],
  chunks: AsyncIterator<Chunk>,
  { returning = true, onProgress }: ManyOptions
): Promise<Sent> {
  const sent: Sent = { count: 0, jobs: [] }
  for (let chunk = ahead.shift(); chunk; ) {
    // Both are waited for, so that a failure of the one never leaves the other under way.
    const sending = sendChunk(access, chunk, returning)
    const reading = ahead.length > 0 ? ahead.shift() : nextOf(chunks)
    await Promise.allSettled([sending, reading])
    for (const job of await sending) sent.jobs.push(job)
    sent.count += chunk.length
    onProgress?.(sent.count)
    chunk = await reading
  }
  return sent
}

async function nextOf(chunks: AsyncIterator<Chunk>): Promise<Chunk | undefined> {
  const { done, value } = await chunks.next()
  return done ? undefined : value
}

async function sendChunk(access: Access, chunk: Chunk, returning: boolean): Promise<readonly Job[]> {
  if (!returning && chunk.every(({ key }) => key === null)) {
    await addUnseen(access, chunk)
    return []
  }
  const added = await addAll(access, chunk)
  const jobs: Job[] = []
  for (const [index, job] of chunk.entries()) jobs.push(added[index] ?? (await insist(access, job)))
  return returning ? jobs : []
}
