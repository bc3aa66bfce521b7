import type { ClaimedJob } from '../../sql/worker/claim.ts'

/**
 * What the engine needs of a database. Nothing here fails for reasons that pass: each call repeats its work until it is
 * done, or until the worker stops.
 */
export interface JobStore {
  /** Locks jobs for the engine to run; none if it is to stop. */
  claim(): Promise<readonly ClaimedJob[]>
  /** Writes how the runs of jobs ended. The error is the engine's own, of a job that did not come to a run. */
  settle(jobs: readonly { readonly id: string; readonly error?: string }[]): Promise<void>
  /** Gives back jobs that were claimed and have waited in vain. */
  giveBack(ids: readonly string[]): Promise<void>
  /** Frees jobs and queues that processes have held for hours of which nobody knows whether they live. */
  releaseStale(): Promise<void>
}
