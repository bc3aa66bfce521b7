import { type Names, refuseUnknown } from '../check/options.ts'
import { checkWholeNumber } from '../check/values.ts'
import { withoutDeadlock } from '../database/deadlock.ts'
import { cancelJob, cancelWaiting } from '../sql/cancel.ts'
import {
  type Action,
  type Chosen,
  type ChosenJob,
  forgetPast,
  highestJob,
  lockJobs,
  lookAtJobs,
  makeDue,
  type Part,
  removeJobs,
  reopenJobs
} from '../sql/ledger/actions.ts'
import type { Access, Execute } from '../sql/statement.ts'
import type { BulkOptions, BulkResult, JobSelection } from './manage.ts'
import { findGone, scheduleAnew } from './retry.ts'
import { namesOf, toChosen, VERBS } from './selection.ts'

/** What {@linkcode BulkOptions} may hold. */
export const BULK_OPTIONS: Names<BulkOptions> = { limit: true, dryRun: true, onProgress: true, signal: true }

/** How an action reaches the database. */
export interface BulkAccess {
  readonly access: Access
  transact<Result>(work: (execute: Execute) => Promise<Result>): Promise<Result>
}

/** Does something with many jobs, once it is known where. */
export type Act = (database: BulkAccess) => Promise<BulkResult>

/**
 * Prepares an action on many jobs. It is carried out in batches, each in a transaction of its own, by ascending ids up
 * to the highest at its beginning: it ends however many jobs come meanwhile.
 *
 * @throws {TypeError} if the selection is none, or there is no such option
 */
export function actOn(action: Action, selection: JobSelection, options: BulkOptions = {}): Act {
  const chosen = toChosen(action, selection)
  refuseUnknown(options, BULK_OPTIONS, `${VERBS[action]} jobs`)
  const { limit = Number.MAX_SAFE_INTEGER, dryRun = false, onProgress, signal } = options
  checkWholeNumber(limit, [1, Number.MAX_SAFE_INTEGER], `${VERBS[action]} jobs`, 'limit')

  return async database => {
    const { access } = database
    const total = { matched: 0, changed: 0, running: 0, missing: new Set(namesOf(chosen)), scheduled: [] as string[] }
    const result = (): BulkResult => ({ ...total, missing: [...total.missing] })
    signal?.throwIfAborted()
    // Before anything is changed, since it fails where a payload was not kept.
    const gone = action === 'retry' && 'targets' in chosen ? await findGone(access, chosen.targets) : []
    const upTo = await highestJob(access)
    const seen = new Set<string>()
    for (const portion of portionsOf(chosen)) {
      let size = Math.min(BATCH, limit - total.matched)
      for (let after = '0'; size > 0; size = Math.min(BATCH, limit - total.matched)) {
        signal?.throwIfAborted()
        const part = { after, upTo, limit: size }
        const jobs = await (dryRun
          ? lookAtJobs(access, action, portion, part)
          : changeBatch(database, action, portion, part))
        for (const { id, key, isHeld, isFit } of jobs) {
          total.missing.delete(id)
          if (key !== null) total.missing.delete(key)
          // Named by its key and its id, or twice.
          if ('targets' in portion && seen.has(id)) continue
          if ('targets' in portion) seen.add(id)
          const isTold = isHeld && action === 'cancel' && (dryRun || (await cancelJob(access, { id })) !== 'not found')
          total.matched++
          if (isFit || isTold) total.changed++
          if (isHeld) total.running++
        }
        const last = jobs.at(-1)
        if (last) onProgress?.(result())
        if (!last || jobs.length < size) break
        after = last.id
      }
    }
    for (const job of gone) {
      signal?.throwIfAborted()
      total.missing.delete(job.id)
      total.matched++
      total.changed++
      if (!dryRun) total.scheduled.push(await scheduleAnew(access, job))
    }
    return result()
  }
}

/** Those named one by one come as many as fit a batch: each statement carries its own only. */
function* portionsOf(chosen: Chosen): Iterable<Chosen> {
  if ('conditions' in chosen) return yield chosen
  const { targets } = chosen
  for (let from = 0; from < targets.length; from += BATCH) yield { targets: targets.slice(from, from + BATCH) }
}

/** A job that somebody has changed between the look and the lock is looked at again: a worker may have taken it. */
async function changeBatch(database: BulkAccess, action: Action, chosen: Chosen, part: Part): Promise<ChosenJob[]> {
  const jobs = await changeAtOnce(database, action, chosen, part)
  if (!IS_FOR_ALL[action]) return jobs
  const settled: ChosenJob[] = []
  for (const job of jobs) {
    settled.push(job.isHeld || job.isFit ? job : ((await changeAgain(database, action, chosen, job)) ?? job))
  }
  return settled
}

/** Finds nothing if the job is gone, or no longer one of those that are meant. */
async function changeAgain(
  database: BulkAccess,
  action: Action,
  chosen: Chosen,
  { id }: ChosenJob
): Promise<ChosenJob | undefined> {
  const part = { after: (BigInt(id) - 1n).toString(), upTo: id, limit: 1 }
  let job: ChosenJob | undefined
  for (let look = 0; look < MOST_LOOKS; look++) {
    job = (await changeAtOnce(database, action, chosen, part))[0]
    if (!job || job.isHeld || job.isFit) return job
  }
  return job
}

async function changeAtOnce(
  { access, transact }: BulkAccess,
  action: Action,
  chosen: Chosen,
  part: Part
): Promise<ChosenJob[]> {
  return await withoutDeadlock(() =>
    transact(async execute => {
      const session = { ...access, execute }
      const jobs = await lockJobs(session, action, chosen, part)
      const fit = jobs.filter(({ isFit }) => isFit)
      if (fit.length > 0) await change(session, action, fit)
      return jobs
    })
  )
}

async function change(access: Access, action: Action, jobs: readonly ChosenJob[]): Promise<void> {
  const ids = jobs.map(({ id }) => id)
  if (action === 'cancel') return await cancelWaiting(access, ids)
  if (action === 'delete') return await removeJobs(access, ids)
  if (action === 'runNow') return await makeDue(access, ids, null)
  const marked = jobs.filter(({ isMarked }) => isMarked)
  if (marked.length > 0) {
    await forgetPast(
      access,
      marked.map(({ id }) => id)
    )
  }
  const over = jobs.filter(({ isOver }) => isOver).map(({ id }) => id)
  if (over.length > 0) await reopenJobs(access, over)
  await makeDue(access, ids, 0)
}

/** Whether an action is for every job that no worker has, so that one it was not for must have changed meanwhile. */
const IS_FOR_ALL: Readonly<Record<Action, boolean>> = { cancel: true, delete: true, retry: false, runNow: false }

/** As many as workers do not mind, and few enough round trips. */
const BATCH = 1_000
const MOST_LOOKS = 10
