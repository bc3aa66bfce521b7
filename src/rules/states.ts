/**
 * What a job in the list is doing. A job that succeeded or was cancelled is no longer there:
 *
 * - `waiting`: the job is due and runs as soon as a worker and its queue are free.
 * - `scheduled`: the job is not due yet.
 * - `running`: a worker runs the job.
 * - `retrying`: an attempt has failed, and the job waits for the next one.
 * - `failed`: the job has failed for good. It stays until you retry or delete it.
 */
export type JobState = 'waiting' | 'scheduled' | 'running' | 'retrying' | 'failed'

/**
 * How a run ended:
 *
 * - `succeeded`: the task returned.
 * - `failed`: the task threw.
 * - `timed out`: the task took longer than its `timeout`.
 * - `cancelled`: the job was cancelled.
 * - `snoozed`: the task put the job off.
 * - `released`: the worker stopped before the run ended, and gave the job to another worker.
 * - `lost`: the worker was lost.
 */
export type RunState = 'succeeded' | 'failed' | 'timed out' | 'cancelled' | 'snoozed' | 'released' | 'lost'

/** All states of jobs. `src/sql/ledger/state.ts` derives a job's state from its row. */
export const JOB_STATES: readonly JobState[] = ['waiting', 'scheduled', 'running', 'retrying', 'failed']

/** All states of runs. */
export const RUN_STATES: readonly RunState[] = [
  'succeeded',
  'failed',
  'timed out',
  'cancelled',
  'snoozed',
  'released',
  'lost'
]

/** The states of runs that count as failures and are kept as such. */
export const FAILURE_STATES: readonly RunState[] = ['failed', 'timed out', 'lost']

/** The states of runs that always end their job. After a failure, the job decides. */
export const ENDING_STATES: readonly RunState[] = ['succeeded', 'cancelled']
