import { BackgroundError } from '../errors.ts'
import { REDACTED } from '../redact/text.ts'
import type { Run } from '../run.ts'
import { readQueueConcurrency } from '../sql/flow/limits.ts'
import { addJob } from '../sql/jobs/add.ts'
import type { Target } from '../sql/jobs/waiting.ts'
import { type ChosenJob, forgetPast, makeDue, reopenJobs } from '../sql/ledger/actions.ts'
import { findJob, findMissing } from '../sql/ledger/jobs.ts'
import { findRunsOf } from '../sql/ledger/runs.ts'
import type { Access } from '../sql/statement.ts'

/** Runs failed jobs again, now, with all their attempts; the caller has locked them. */
export async function retryJobs(access: Access, jobs: readonly ChosenJob[]): Promise<void> {
  const marked = jobs.filter(({ isMarked }) => isMarked).map(({ id }) => id)
  if (marked.length > 0) await forgetPast(access, marked)
  const over = jobs.filter(({ isOver }) => isOver).map(({ id }) => id)
  if (over.length > 0) await reopenJobs(access, over)
  await makeDue(
    access,
    jobs.map(({ id }) => id),
    0
  )
}

/** A job that is gone, and its last run. */
export interface GoneJob {
  readonly id: string
  readonly run: Run
}

/**
 * Finds those of the named jobs that are gone, with the runs that ended them.
 *
 * @throws {BackgroundError} `JOB_GONE` if the ledger does not keep that run, or not its whole payload
 */
export async function findGone(access: Access, targets: readonly Target[]): Promise<GoneJob[]> {
  const ids = targets.flatMap(target => ('id' in target ? target.id : []))
  const gone: GoneJob[] = []
  for (const id of await findMissing(access, ids)) {
    const [last] = await findRunsOf(access, id, { after: null, limit: 1 })
    if (!last?.run) continue
    const { run } = last
    const problem = problemOf(run)
    if (problem) {
      throw new BackgroundError(
        'JOB_GONE',
        `Cannot retry job ${id}: it is gone (its last run: ${run.state}), and the ledger ${problem}. Schedule a new job`
      )
    }
    gone.push({ id: run.job, run })
  }
  return gone
}

/**
 * Schedules a new job like one that is gone, and returns its id. It belongs to the same occurrence of a recurring job, and gets the
 * key unless another job has taken it.
 */
export async function scheduleAgain(access: Access, { id, run }: GoneJob): Promise<string> {
  const { task, queue, payload, priority, maxAttempts, key } = run
  const isTaken = key !== null && (await findJob(access, { key })).job !== undefined
  const job = await addJob(access, {
    task,
    queue,
    slots: queue === null ? null : await readQueueConcurrency(access, queue),
    payload: JSON.stringify(payload),
    runAt: null,
    delayMs: 0,
    priority,
    maxAttempts,
    key: isTaken ? null : key,
    keyMode: 'unsafe_dedupe',
    // The ledger does not keep the version.
    version: null,
    of: run
  })
  if (job) return job.id
  throw new BackgroundError('JOB_GONE', `Cannot retry job ${id}: another job has taken its key just now`)
}

function problemOf({ isOver, payload }: Run): string | undefined {
  if (!isOver) return 'does not show how it ended: it may have succeeded'
  if (payload === null) return 'has not kept its payload'
  return isRedacted(payload) ? 'has hidden parts of its payload' : undefined
}

function isRedacted(payload: unknown): boolean {
  if (typeof payload === 'string') return payload.includes(REDACTED)
  return typeof payload === 'object' && payload !== null && Object.values(payload).some(isRedacted)
}
