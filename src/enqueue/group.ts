import { withoutDeadlock } from '../database/deadlock.ts'
import { isSchemaMissing } from '../database/migrate.ts'
import { BackgroundError } from '../errors.ts'
import type { Job } from '../job.ts'
import { addInTurn, addJob, addTogether, type NewJob } from '../sql/add.ts'
import type { Access } from '../sql/statement.ts'
import { type Call, createLane, type Lane } from './batcher.ts'
import { isFaultOfOne } from './failure.ts'

/** What {@linkcode createGroups} takes. */
export interface GroupOptions {
  /** Runs statements of their own, committed when they resolve. */
  readonly access: Access
  /** Brings the schema up to date. */
  readonly migrate: () => Promise<unknown>
}

/** Sends one job; calls made at the same time share statements. */
export type ScheduleOne = (job: NewJob) => Promise<Job>

/**
 * Schedules job by job while calls come one at a time, and in groups while they come faster than the database answers.
 * Every call gets its own job or its own error, whoever shares its statement.
 */
export function createGroups({ access, migrate }: GroupOptions): ScheduleOne {
  let migrating: Promise<unknown> | undefined

  // Jobs that depend on nothing may overtake each other. Those of a queue keep the order of their calls: a
  // group begins after the one before it has ended. Those with a key or a time of their own are slower, and may have to wait
  // for somebody else's transaction with that key, so they go apart.
  const free = createLane(2, send)
  const queued = createLane(1, send)
  const single = createLane(1, send)
  // Two lanes know no order between them: the calls of a queue stay in one for as long as any of them is under way.
  const queues = new Map<string, { readonly lane: Lane; calls: number }>()

  async function send(calls: readonly Call[]): Promise<void> {
    try {
      settle(calls, await add(calls.map(({ job }) => job)))
    } catch (error) {
      if (calls.length > 1 && isFaultOfOne(error)) return await sendHalves(calls)
      for (const { reject } of calls) reject(error)
    }
  }

  /** Nothing of a statement that the server refused has happened. In order, and the more are good the fewer halves. */
  async function sendHalves(calls: readonly Call[]): Promise<void> {
    const middle = calls.length >> 1
    await send(calls.slice(0, middle))
    await send(calls.slice(middle))
  }

  async function add(jobs: readonly NewJob[]): Promise<(Job | undefined)[]> {
    try {
      return await withoutDeadlock(() => addAll(access, jobs))
    } catch (error) {
      if (!isSchemaMissing(error)) throw error
      migrating ??= migrate().finally(() => (migrating = undefined))
      await migrating
      return await withoutDeadlock(() => addAll(access, jobs))
    }
  }

  function settle(calls: readonly Call[], jobs: readonly (Job | undefined)[]): void {
    for (const [index, call] of calls.entries()) {
      const job = jobs[index]
      if (job) call.resolve(job)
      else addAgain(access, call.job).then(call.resolve, call.reject)
    }
  }

  function addTo(lane: Lane, job: NewJob): Promise<Job> {
    return new Promise((resolve, reject) => lane.add({ job, resolve, reject }))
  }

  async function addToQueue(name: string, lane: Lane, job: NewJob): Promise<Job> {
    const queue = queues.get(name) ?? { lane, calls: 0 }
    if (queue.calls++ === 0) queues.set(name, queue)
    try {
      return await addTo(queue.lane, job)
    } finally {
      if (--queue.calls === 0) queues.delete(name)
    }
  }

  return job => {
    const isSingle = job.key !== null || job.runAt !== null
    if (job.queue === null) return addTo(isSingle ? single : free, job)
    return addToQueue(job.queue, isSingle ? single : queued, job)
  }
}

/** Schedules jobs in one statement, the fastest that does for them. */
export async function addAll(access: Access, jobs: readonly NewJob[]): Promise<(Job | undefined)[]> {
  const [only] = jobs
  if (jobs.length === 1 && only) return [await addJob(access, only)]
  const together = canGoTogether(jobs) && (await addTogether(access, jobs))
  return together || (await addInTurn(access, jobs))
}

/** Schedules a job by itself. */
export async function insist(access: Access, job: NewJob): Promise<Job> {
  return (await addJob(access, job)) ?? (await addAgain(access, job))
}

/**
 * Schedules a job that the engine has not returned, since its key belongs to a job that a worker takes at this very
 * moment: the engine then neither replaces nor adds. A moment later it does. Nothing else is a reason to add it again.
 *
 * @throws {BackgroundError} `OUTCOME_UNKNOWN` if the job has no key
 */
export async function addAgain(access: Access, job: NewJob): Promise<Job> {
  if (job.key === null) {
    throw new BackgroundError(
      'OUTCOME_UNKNOWN',
      `Cannot tell whether it was possible to schedule ${job.task}: the engine returned no job. Does a trigger on its table drop it?`
    )
  }
  for (let tries = 1; tries < 100; tries++) {
    const added = await addJob(access, job)
    if (added) return added
  }
  throw new Error(`Cannot schedule ${job.task}: a worker keeps taking the job of its key`)
}

/** See {@linkcode addTogether}. */
function canGoTogether(jobs: readonly NewJob[]): boolean {
  const keys = new Set<string>()
  const isTimed = jobs.find(({ key }) => key === null)?.runAt !== null
  return jobs.every(({ runAt, queue, key, keyMode }) => {
    if (runAt !== null && queue !== null) return false
    if (key === null) return (runAt !== null) === isTimed
    const isNew = !keys.has(key)
    keys.add(key)
    return keyMode === 'replace' && isNew
  })
}
