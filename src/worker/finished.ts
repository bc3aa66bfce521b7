import { type Completion, completeJobs, completeUnrecorded, type PreparedStatement } from '../sql/worker/complete.ts'
import type { LockedJob } from '../sql/worker/control.ts'
import type { EndedRuns } from './ended.ts'
import { idsOf, type Settled } from './settled.ts'

/** Jobs that have succeeded, or were cancelled, and whose end may not be written yet. They are not to run again. */
export interface FinishedJobs {
  add(job: { readonly id: string; readonly locked_at: Date }): void
  /** Its end is written. */
  forget(id: string): void
  /** Whether it has finished under this very lock: what was locked anew is another run. */
  has(job: LockedJob): boolean
}

/** Remembers finished jobs, with a ledger or without. */
export function createFinishedJobs(): FinishedJobs {
  const lockedAtMs = new Map<string, number>()
  return {
    add: ({ id, locked_at }) => void lockedAtMs.set(id, locked_at.getTime()),
    forget: id => void lockedAtMs.delete(id),
    // The engine's driver knows the time of a lock to the millisecond.
    has: job => Math.abs((lockedAtMs.get(job.id) ?? Number.NaN) - job.lockedAtMs) < 2
  }
}

/** The statement that completes jobs in place of one of the engine's, and records their runs if there is a ledger. */
export function completionOf(
  schema: string,
  statement: Settled,
  worker: string,
  ended: EndedRuns | undefined
): PreparedStatement {
  const completion: Completion = { ids: idsOf(statement), worker, releasesQueues: statement.releasesQueues }
  const isRecorded = ended && !completion.ids.some(ended.isUnrecordable)
  return isRecorded ? completeJobs(schema, ended.kept, completion, ended.runs) : completeUnrecorded(schema, completion)
}
