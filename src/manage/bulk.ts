import { type Names, refuseUnknown } from '../check/options.ts'
import { checkWholeNumber } from '../check/values.ts'
import { ACTIONS, type Action, isForAllStates } from '../rules/actions.ts'
import { cancelJob, cancelWaiting } from '../sql/jobs/cancel.ts'
import {
  type Chosen,
  type ChosenJob,
  highestJob,
  lockJobs,
  lookAtJobs,
  makeDue,
  type Part,
  removeJobs
} from '../sql/ledger/actions.ts'
import type { Access, Transact } from '../sql/statement.ts'
import { findGone, retryJobs, scheduleAgain } from './retry.ts'
import { type JobSelection, namesOf, toChosen } from './selection.ts'

/** Options of an action on many jobs. */
export interface BulkOptions {
  /**
   * The most jobs to change; the first scheduled come first.
   *
   * @default all
   */
  limit?: number
  /**
   * Whether to change nothing and only count.
   *
   * @default false
   */
  dryRun?: boolean
  /**
   * Called after each batch with the result so far.
   *
   * @default none
   */
  onProgress?: (soFar: BulkResult) => void
  /**
   * Ends the action after the current batch; the promise then rejects with the signal's reason.
   *
   * @default none
   */
  signal?: AbortSignal
}

/** The names of the {@linkcode BulkOptions}, for checks. */
export const BULK_OPTIONS: Names<BulkOptions> = { limit: true, dryRun: true, onProgress: true, signal: true }

/** The result of an action on many jobs. */
export interface BulkResult {
  /** How many jobs were found. A filter finds only jobs in the states that the action is for. */
  readonly matched: number
  /** How many of them were changed, or would be with `dryRun`. */
  readonly changed: number
  /** How many of them a worker has. `cancel` tells the worker to stop them; other actions leave them alone. */
  readonly running: number
  /** The given jobs that do not exist: ids, or keys where keys were given. */
  readonly missing: readonly string[]
  /** The ids of the new jobs that `retry` has scheduled for jobs that were gone. */
  readonly scheduled: readonly string[]
}

/** How an action reaches the database. */
export interface BulkAccess {
  readonly access: Access
  /** Repeats the work if the database ends the transaction because of a conflict. */
  readonly transact: Transact
}

/**
 * Prepares an action on many jobs. It commits batch by batch, by ascending ids up to the highest id at its beginning, so
 * it ends however many jobs are scheduled meanwhile.
 *
 * @throws {TypeError} if the selection or an option is wrong
 */
export function actOn(
  action: Action,
  selection: JobSelection,
  options: BulkOptions = {}
): (database: BulkAccess) => Promise<BulkResult> {
  const doing = `${ACTIONS[action].verb} jobs`
  const chosen = toChosen(action, selection)
  refuseUnknown(options, BULK_OPTIONS, doing)
  const { limit = Number.MAX_SAFE_INTEGER, dryRun = false, onProgress, signal } = options
  checkWholeNumber(limit, [1, Number.MAX_SAFE_INTEGER], doing, 'limit')

  return async database => {
    const { access } = database
    const total = { matched: 0, changed: 0, running: 0, missing: new Set(namesOf(chosen)), scheduled: [] as string[] }
    const result = (): BulkResult => ({ ...total, missing: [...total.missing] })
    signal?.throwIfAborted()
    // Comes before any change, because it fails where a payload was not kept.
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
          // A caller may name a job twice, or by its id and by its key.
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
      if (!dryRun) total.scheduled.push(await scheduleAgain(access, job))
    }
    return result()
  }
}

/** Splits a list of named jobs into batches, so that a statement carries only its own names. */
function* portionsOf(chosen: Chosen): Iterable<Chosen> {
  if ('conditions' in chosen) return yield chosen
  const { targets } = chosen
  for (let from = 0; from < targets.length; from += BATCH) yield { targets: targets.slice(from, from + BATCH) }
}

/** A job that has changed between the look and the lock is looked at again: a worker may have taken it. */
async function changeBatch(database: BulkAccess, action: Action, chosen: Chosen, part: Part): Promise<ChosenJob[]> {
  const jobs = await changeAtOnce(database, action, chosen, part)
  if (!isForAllStates(action)) return jobs
  const settled: ChosenJob[] = []
  for (const job of jobs) {
    settled.push(job.isHeld || job.isFit ? job : ((await changeAgain(database, action, chosen, job)) ?? job))
  }
  return settled
}

/** Resolves to `undefined` if the job is gone, or does not match any longer. */
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
  return await transact(async execute => {
    const session = { ...access, execute }
    const jobs = await lockJobs(session, action, chosen, part)
    const fit = jobs.filter(({ isFit }) => isFit)
    if (fit.length > 0) await CHANGES[action](session, fit)
    return jobs
  })
}

const CHANGES: Readonly<Record<Action, (access: Access, jobs: readonly ChosenJob[]) => Promise<void>>> = {
  retry: retryJobs,
  cancel: (access, jobs) => cancelWaiting(access, idsOf(jobs)),
  delete: (access, jobs) => removeJobs(access, idsOf(jobs)),
  runNow: (access, jobs) => makeDue(access, idsOf(jobs), null)
}

function idsOf(jobs: readonly ChosenJob[]): string[] {
  return jobs.map(({ id }) => id)
}

/** Few enough that workers are not held up, and enough that round trips do not matter. */
const BATCH = 1_000
const MOST_LOOKS = 10
