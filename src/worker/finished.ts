import { type Completion, completeJobs, completeUnrecorded, type PreparedStatement } from '../sql/complete.ts'
import type { LockedJob } from '../sql/control.ts'
import type { EndedRuns } from './ended.ts'
import { idsOf, type Settled } from './settled.ts'

/** Jobs that have succeeded, or were cancelled, and whose end may not be written yet. They are not to run again. */
export interface FinishedJobs {
  add(job: { readonly id: string; readonly locked_at: Date }, durationMs: number): void
  /** Its end is written. */
  forget(id: string): void
  /** Whether it has finished under this very lock: what was locked anew is another run. */
  has(job: LockedJob): boolean
  /** Those of them that ran for longer than the engine leaves a lock; `null` if there are none. */
  outlived(ids: readonly string[]): readonly string[] | null
}

/** Remembers finished jobs, with a ledger or without. */
export function createFinishedJobs(): FinishedJobs {
  const finished = new Map<string, { readonly lockedAtMs: number; readonly durationMs: number }>()
  return {
    add: ({ id, locked_at }, durationMs) => void finished.set(id, { lockedAtMs: locked_at.getTime(), durationMs }),
    forget: id => void finished.delete(id),
    // The engine's driver knows the time of a lock to the millisecond.
    has: ({ id, lockedAtMs }) => Math.abs((finished.get(id)?.lockedAtMs ?? Number.NaN) - lockedAtMs) < 2,
    outlived(ids) {
      const found = ids.filter(id => (finished.get(id)?.durationMs ?? 0) >= LOCK_LIFE_MS)
      return found.length > 0 ? found : null
    }
  }
}

/** The statement that completes jobs in place of one of the engine's, and records their runs if there is a ledger. */
export function completionOf(
  schema: string,
  statement: Settled,
  worker: string,
  { finished, ended }: { readonly finished: FinishedJobs; readonly ended: EndedRuns | undefined }
): PreparedStatement {
  const ids = idsOf(statement)
  const { releasesQueues } = statement
  const completion: Completion = { ids, worker, outlived: finished.outlived(ids), releasesQueues }
  return ended ? completeJobs(schema, ended.kept, completion, ended.runs) : completeUnrecorded(schema, completion)
}

/** Four hours after it was taken the engine gives a lock up, whoever lives; some minutes less, for a job may have waited. */
const LOCK_LIFE_MS = 4 * 3_600_000 - 5 * 60_000
