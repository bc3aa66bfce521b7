import type { Job } from '../job.ts'
import type { JobState } from '../rules/states.ts'
import type { Target } from '../sql/jobs/waiting.ts'
import { readWorkers, type WorkerRow } from '../sql/ledger/status.ts'
import { findLastRun, findLiveJob, type LastRunRow, type LiveJobRow, wasIdGiven } from '../sql/ledger/why.ts'
import { occurrenceOf } from '../sql/names.ts'
import type { Access } from '../sql/statement.ts'
import { toDate } from '../sql/times.ts'
import { lengthOf } from '../text/amounts.ts'
import type { Reason } from './reason.ts'
import { IN_ADVANCE, reasonsWhileDue } from './why-due.ts'
import { explainRecurring } from './why-recurring.ts'

/** A job that has not ended. */
export interface WhyJob extends Omit<Job, 'scheduledAt'> {
  /** What the job is doing. */
  readonly state: JobState
}

/** The result of {@linkcode Monitoring.why}. */
export interface Why {
  /** The job; `null` if it has ended or never existed. */
  readonly job: WhyJob | null
  /** Why the job does not run, the most important reason first. There is always a reason. */
  readonly reasons: readonly Reason[]
}

/** Finds out why a job does not run. A key may also be the name of a recurring job. */
export async function explainJob(access: Access, target: Target): Promise<Why> {
  const row = await findLiveJob(access, target)
  if (!row) return { job: null, reasons: await explainAbsence(access, target) }
  const workers = await readWorkers(access)
  const reasons = row.fetchedAt === null ? await whileFree(access, row, workers) : whileHeld(row, workers)
  const { id, task, queue, key, priority, attempts, maxAttempts } = row
  const state = row.state as JobState
  const job = {
    id,
    task,
    queue,
    key,
    state,
    priority,
    attempts,
    maxAttempts,
    runAt: toDate(row.readyAt),
    ...occurrenceOf(row.flags)
  }
  return { job, reasons: [...reasons, ...always(row)] }
}

async function explainAbsence(access: Access, target: Target): Promise<readonly Reason[]> {
  if ('id' in target) return [await explainEnd(access, target.id)]
  const recurring = await explainRecurring(access, target.key)
  if (recurring) return recurring
  return [
    {
      code: 'gone',
      message: `No job of key ${JSON.stringify(target.key)} waits or runs: it has ended or never existed`
    }
  ]
}

async function explainEnd(access: Access, id: string): Promise<Reason> {
  const run = await findLastRun(access, id)
  if (run?.isOver) return { code: 'ended', ...describeEnd(run) }
  if (run) return { code: 'gone', ...describeLoss(run) }
  if (await wasIdGiven(access, id)) {
    const message = 'It is gone: it was removed before it ran, or its runs were pruned'
    return { code: 'gone', message }
  }
  return { code: 'never-existed', message: `No job has had the id ${id} yet` }
}

function describeEnd({ state, finishedAt, task, worker, error, attempt }: LastRunRow): Omit<Reason, 'code'> {
  const at = toDate(finishedAt)
  const how = state === 'succeeded' ? 'succeeded' : `ended as ${state}`
  const message = `It has ended: ${task} ${how} at ${at.toISOString()}, attempt ${attempt}${error ? `: ${error}` : ''}`
  return { message, at, ...(worker !== null && { worker }), ...(error !== null && { error }) }
}

function describeLoss({ state, finishedAt, attempt }: LastRunRow): Omit<Reason, 'code'> {
  const at = toDate(finishedAt)
  const message = `It is gone, and its end is not kept: its last recorded run ${state === 'failed' ? 'failed' : `was ${state}`} at ${at.toISOString()}, attempt ${attempt}. It has ended since, or it was deleted`
  return { message, at }
}

function whileHeld(row: LiveJobRow, workers: readonly WorkerRow[]): Reason[] {
  const at = toDate(row.fetchedAt!)
  const name = row.worker ?? ''
  const worker = workers.find(({ id }) => id === name)
  if (!worker) {
    const message = `${name} has had it since ${at.toISOString()} and is not on the register of workers: it is a worker of graphile-worker itself, whose jobs are freed four hours after its death`
    return [{ code: 'foreign-worker', message, at, worker: name }]
  }
  const place = `worker ${name} (process ${worker.pid} on ${worker.host})`
  if (!worker.isAlive) {
    const rescue = workers.some(({ isAlive }) => isAlive)
      ? 'another worker will free the job within seconds'
      : 'the next worker to start will free the job'
    const message = `Its ${place} was lost: its last sign of life was ${lengthOf(worker.beatAgeMs)} ago, and ${rescue}`
    return [{ code: 'worker-lost', message, at, worker: name }]
  }
  // The job's state decides, because the register was read a moment later.
  if (row.state === 'running') {
    const message = `It is running, since ${at.toISOString()} at the earliest, attempt ${row.attempts} of ${row.maxAttempts}, at ${place}`
    return [{ code: 'running', message, at, worker: name }]
  }
  if (row.queueJob !== null && row.queueJob !== row.id) {
    const message = `The ${place} fetched it at ${at.toISOString()} together with job ${row.queueJob} of its queue ${row.queue}, which comes before it. If that takes long, the worker gives back this one`
    return [{ code: 'fetched', message, at, worker: name, job: row.queueJob, count: worker.running.length }]
  }
  const load = `runs ${worker.running.length} of ${worker.concurrency} jobs`
  const message = `The ${place} fetched it at ${at.toISOString()} and has not begun it: it ${load}, and gives back jobs that it cannot begin soon`
  return [{ code: 'fetched', message, at, worker: name, count: worker.running.length }]
}

async function whileFree(access: Access, row: LiveJobRow, workers: readonly WorkerRow[]): Promise<Reason[]> {
  if (row.state === 'failed') return [whenFailed(row)]
  if (row.isDue) return await reasonsWhileDue(access, row, workers)
  const later = await whenLater(access, row)
  const onceDue = await reasonsWhileDue(access, row, workers)
  // Only these reasons can be known in advance.
  return [later, ...onceDue.filter(({ code }) => IN_ADVANCE.includes(code))]
}

function whenFailed({ attempts, maxAttempts, error }: LiveJobRow): Reason {
  const advice = 'It will not run again unless you retry it'
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
    return { code: 'scheduled', message: 'Its time is infinity, which never comes. Reschedule it to let it run', at }
  }
  const when = `${at.toISOString()} (in ${lengthOf(Math.max(0, dueInMs))})`
  const run = await findLastRun(access, id)
  if (run?.state === 'snoozed') return { code: 'snoozed', message: `Its task has put it off until ${when}`, at }
  if (attempts === 0) return { code: 'scheduled', message: `It is scheduled for ${when}`, at }
  const failure = error === null ? '' : `: ${firstLineOf(error)}`
  const message = `Attempt ${attempts} of ${maxAttempts} failed, and the next is due at ${when}${failure}`
  return { code: 'backing-off', message, at, ...(error !== null && { error }) }
}

/** Reasons that do not depend on whether a worker has the job. */
function* always({ isCancelled, attempts, maxAttempts, error, state }: LiveJobRow): Iterable<Reason> {
  if (isCancelled) {
    yield { code: 'cancelled', message: 'It was cancelled and will not run again' }
  } else if (state !== 'failed' && attempts >= maxAttempts && attempts > 1 && error === null) {
    // A failed attempt would have left its error, so a newer job has used up the attempts.
    const message = 'No attempt is left after this first one: a newer job of its key has taken its place'
    yield { code: 'replaced', message }
  }
}

function firstLineOf(error: string): string {
  return error.split('\n', 1)[0] ?? ''
}
