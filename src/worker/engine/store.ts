import type { ClaimedJob } from '../../sql/worker/claim.ts'

/**
 * The operations on jobs that the engine needs. Each call repeats its work after a transient failure until the work is
 * done or the worker stops.
 */
export interface JobStore {
  /** Locks jobs for the engine to run. Returns none if the worker is stopping. */
  claim(): Promise<readonly ClaimedJob[]>
  /** Writes how the runs of jobs ended. An error is the engine's own: it failed the job without a run. */
  settle(jobs: readonly { readonly id: string; readonly error?: string }[]): Promise<void>
  /**
   * Unlocks jobs that this worker has fetched and not started. Either they have waited too long, or the worker stops.
   * Other workers can then take them.
   */
  giveBack(ids: readonly string[]): Promise<void>
  /** Unlocks jobs and queues that unregistered processes have held for hours. */
  unlockStale(): Promise<void>
}
