import { BackgroundError } from '../errors.ts'
import type { Run } from '../inspect.ts'
import { REDACTED } from '../redact/text.ts'
import { addJob } from '../sql/add.ts'
import { findJob, findMissing } from '../sql/ledger/jobs.ts'
import { findRunsOf } from '../sql/ledger/runs.ts'
import type { Access } from '../sql/statement.ts'
import type { Target } from '../sql/waiting.ts'

/** A job that is gone, as its last run has it. */
export interface GoneJob {
  readonly id: string
  readonly run: Run
}

/**
 * Those of the named jobs that are gone and have left the run with which they ended.
 *
 * @throws {BackgroundError} `JOB_GONE` if that is not kept, or its payload is not
 */
export async function findGone(access: Access, targets: readonly Target[]): Promise<GoneJob[]> {
  const gone: GoneJob[] = []
  for (const id of await findMissing(
    access,
    targets.flatMap(target => ('id' in target ? target.id : []))
  )) {
    const [last] = await findRunsOf(access, id, { after: null, limit: 1 })
    if (!last?.run) continue
    const { payload, state, isOver } = last.run
    const problem = !isOver
      ? 'does not tell how it ended: it may have succeeded'
      : payload === null
        ? 'has not kept its payload'
        : isRedacted(payload)
          ? 'has hidden parts of its payload'
          : null
    if (problem) {
      throw new BackgroundError(
        'JOB_GONE',
        `Cannot retry job ${id}: it is gone (its last run: ${state}), and the ledger ${problem}. Schedule it anew`
      )
    }
    gone.push({ id: last.run.job, run: last.run })
  }
  return gone
}

/** Schedules such a job once more, and returns its new id. Its key stays with whichever job has it now. */
export async function scheduleAnew(access: Access, { id, run }: GoneJob): Promise<string> {
  const { task, queue, payload, priority, maxAttempts, key } = run
  const isTaken = key !== null && (await findJob(access, { key })).job !== undefined
  const job = await addJob(access, {
    task,
    queue,
    payload: JSON.stringify(payload),
    runAt: null,
    delayMs: 0,
    priority,
    maxAttempts,
    key: isTaken ? null : key,
    keyMode: 'unsafe_dedupe'
  })
  if (job) return job.id
  throw new BackgroundError('JOB_GONE', `Cannot retry job ${id}: another job has taken its key this moment`)
}

/** Whether a worker has hidden something in it, be it a part of a text. */
function isRedacted(payload: unknown): boolean {
  if (typeof payload === 'string') return payload.includes(REDACTED)
  return typeof payload === 'object' && payload !== null && Object.values(payload).some(isRedacted)
}
