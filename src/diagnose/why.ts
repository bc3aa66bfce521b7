import { readWorkers, type WorkerRow } from '../sql/ledger/status.ts'
import { findLastRun, findLiveJob, type LastRunRow, type LiveJobRow, wasIdGiven } from '../sql/ledger/why.ts'
import type { Access } from '../sql/statement.ts'
import { toDate } from '../sql/times.ts'
import type { Target } from '../sql/waiting.ts'
import { lengthOf } from '../text/amounts.ts'
import type { Reason } from './reason.ts'
import { reasonsWhileDue } from './why-due.ts'

/** A job that is not done. */
export interface WhyJob {
  /** The database's identity of the job. */
  readonly id: string
  /** The name of the task that runs it. */
  readonly task: string
  /** Its queue, or `null`. */
  readonly queue: string | null
  /** Its key, or `null`. */
  readonly key: string | null
  /** Its state, as the view `jobs` has it. */
  readonly state: 'waiting' | 'scheduled' | 'running' | 'retrying' | 'failed'
  /** Lower runs first. */
  readonly priority: number
  /** How many attempts have begun. */
  readonly attempts: number
  /** After this many failed attempts it stays failed. */
  readonly maxAttempts: number
  /** Not before this time. */
  readonly runAt: Date
}

/** What {@linkcode Inspection.why} tells. */
export interface Why {
  /** The job; `null` if it has ended or there never was one. */
  readonly job: WhyJob | null
  /** Why it does not run, the most important reason first; there is always one. */
  readonly reasons: readonly Reason[]
}

/** Finds out why a job does not run. */
export async function explainJob(access: Access, target: Target): Promise<Why> {
  const row = await findLiveJob(access, target)
  if (!row) return { job: null, reasons: [await explainAbsence(access, target)] }
  const workers = await readWorkers(access)
  const reasons = row.fetchedAt === null ? await whileFree(access, row, workers) : whileHeld(row, workers)
  const job = {
    id: row.id,
    task: row.task,
    queue: row.queue,
    key: row.key,
    state: row.state as WhyJob['state'],
    priority: row.priority,
    attempts: row.attempts,
    maxAttempts: row.maxAttempts,
    runAt: toDate(row.readyAt)
  }
  return { job, reasons: [...reasons, ...whateverHolds(row)] }
}

async function explainAbsence(access: Access, target: Target): Promise<Reason> {
  if (!('id' in target)) {
    return {
      code: 'gone',
      message: `No job of key ${JSON.stringify(target.key)} waits or runs: it has ended or never was`
    }
  }
  const run = await findLastRun(access, target.id)
  if (run?.isOver) return { code: 'ended', ...describeEnd(run) }
  if (run) return { code: 'gone', ...describeLoss(run) }
  if (await wasIdGiven(access, target.id)) {
    const message = 'It is gone: it was removed before it ran, or what is known of its runs has been pruned'
    return { code: 'gone', message }
  }
  return { code: 'never-existed', message: `No job has had the id ${target.id} yet` }
}

function describeEnd({ state, finishedAt, task, worker, error, attempt }: LastRunRow): Omit<Reason, 'code'> {
  const at = toDate(finishedAt)
  const how = state === 'succeeded' ? 'succeeded' : `ended as ${state}`
  const message = `It has ended: ${task} ${how} at ${at.toISOString()}, attempt ${attempt}${error ? `: ${error}` : ''}`
  return { message, at, ...(worker !== null && { worker }), ...(error !== null && { error }) }
}

function describeLoss({ state, finishedAt, attempt }: LastRunRow): Omit<Reason, 'code'> {
  const at = toDate(finishedAt)
  const message = `It is gone, and how it ended is not kept: its last run on record ${state === 'failed' ? 'failed' : `was ${state}`} at ${at.toISOString()}, attempt ${attempt}. It has ended since, or it was deleted`
  return { message, at }
}

/** A worker has the job. */
function whileHeld(row: LiveJobRow, workers: readonly WorkerRow[]): Reason[] {
  const at = toDate(row.fetchedAt!)
  const name = row.worker ?? ''
  const worker = workers.find(({ id }) => id === name)
  if (!worker) {
    const message = `${name} has had it since ${at.toISOString()}, which is not on the register of workers: a worker of graphile-worker's own, whose jobs are given to others four hours after its death`
    return [{ code: 'foreign-worker', message, at, worker: name }]
  }
  const place = `worker ${name} (process ${worker.pid} on ${worker.host})`
  if (!worker.isAlive) {
    const rescue = workers.some(({ isAlive }) => isAlive)
      ? 'another worker will give the job back within seconds'
      : 'the next worker to start will give the job back'
    const message = `Its ${place} was lost: it last showed itself ${lengthOf(worker.beatAgeMs)} ago, and ${rescue}`
    return [{ code: 'worker-lost', message, at, worker: name }]
  }
  // As the job's state has it: the register was read a moment later.
  if (row.state === 'running') {
    const message = `It is running, since ${at.toISOString()} at the earliest, attempt ${row.attempts} of ${row.maxAttempts}, at ${place}`
    return [{ code: 'running', message, at, worker: name }]
  }
  const load = `runs ${worker.running.length} of ${worker.concurrency} jobs`
  const message = `The ${place} fetched it at ${at.toISOString()} and has not begun it: it ${load}, and gives back what it cannot begin soon`
  return [{ code: 'fetched', message, at, worker: name, count: worker.running.length }]
}

/** No worker has it. */
async function whileFree(access: Access, row: LiveJobRow, workers: readonly WorkerRow[]): Promise<Reason[]> {
  if (row.state === 'failed') return [whenFailed(row)]
  if (row.isDue) return await reasonsWhileDue(access, row, workers)
  const later = await whenLater(access, row)
  const onceDue = await reasonsWhileDue(access, row, workers)
  // Of what will be by then, only this can be told now.
  return [later, ...onceDue.filter(({ code }) => code === 'no-worker' || code === 'unknown-task')]
}

function whenFailed({ attempts, maxAttempts, error }: LiveJobRow): Reason {
  const advice = 'It will not run again unless somebody retries it'
  if (error === null) {
    return { code: 'failed', message: `It has no attempt left (${attempts} of ${maxAttempts}). ${advice}` }
  }
  const message = `It has failed for good, after attempt ${attempts} of ${maxAttempts}: ${firstLineOf(error)}. ${advice}`
  return { code: 'failed', message, error }
}

async function whenLater(
  access: Access,
  { id, readyAt, dueInMs, attempts, maxAttempts, error }: LiveJobRow
): Promise<Reason> {
  const at = toDate(readyAt)
  if (dueInMs === null) {
    return { code: 'scheduled', message: 'Its time is infinity, which never comes. Reschedule it to have it run', at }
  }
  const when = `${at.toISOString()} (in ${lengthOf(Math.max(0, dueInMs))})`
  const run = await findLastRun(access, id)
  if (run?.state === 'snoozed') return { code: 'snoozed', message: `Its task has put it off until ${when}`, at }
  if (attempts === 0) return { code: 'scheduled', message: `It is scheduled for ${when}`, at }
  const failure = error === null ? '' : `: ${firstLineOf(error)}`
  const message = `Attempt ${attempts} of ${maxAttempts} failed, and the next is to come at ${when}${failure}`
  return { code: 'backing-off', message, at, ...(error !== null && { error }) }
}

/** What is so whether a worker has it or not. */
function* whateverHolds({ isCancelled, attempts, maxAttempts, error, state }: LiveJobRow): Iterable<Reason> {
  if (isCancelled) {
    yield { code: 'cancelled', message: 'It was cancelled: whatever its task does, it will not run again' }
  } else if (state !== 'failed' && attempts >= maxAttempts && attempts > 1 && error === null) {
    // A failed attempt would have left its error: somebody else has spent the attempts.
    const message = 'No attempt is left after this first one: a newer job of its key has taken its place'
    yield { code: 'replaced', message }
  }
}

function firstLineOf(error: string): string {
  return error.split('\n', 1)[0] ?? ''
}
