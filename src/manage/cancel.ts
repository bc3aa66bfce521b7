import type { Cancellation } from '../job.ts'
import { isReference, type JobReference, toTarget } from '../reference.ts'
import { cancelJob } from '../sql/jobs/cancel.ts'
import { actOn, type BulkAccess, type BulkOptions, type BulkResult } from './bulk.ts'
import type { BulkFilter, JobSelection } from './selection.ts'

/** The forms of `cancel`: one job, or many. */
export interface Cancel {
  /**
   * Cancels a job: see `Scheduler.cancel`.
   *
   * @param job its id, its key (as `{ key }` if it consists of digits), or the job itself
   * @returns the outcome
   */
  (job: JobReference): Promise<Cancellation>
  /**
   * Cancels many jobs. Jobs that no worker has are removed; the workers of the others are told immediately to stop them.
   *
   * @param selection jobs, ids or keys (as `{ key }` if they consist of digits), or a filter
   * @throws {TypeError} if the selection names no job, or the filter is empty; nothing is changed then
   */
  (selection: readonly JobReference[] | BulkFilter, options?: BulkOptions): Promise<BulkResult>
}

/**
 * Prepares the cancelling of one job or of many.
 *
 * @throws {TypeError} if the selection or an option is wrong
 */
export function cancel(
  selection: JobSelection,
  options?: BulkOptions
): (database: BulkAccess) => Promise<Cancellation | BulkResult> {
  if (!isReference(selection)) return actOn('cancel', selection, options)
  if (options) throw new TypeError('Cannot cancel a job: options are for many. Pass it in a list: cancel([job], …)')
  const target = toTarget(selection, 'cancel')
  return ({ access }) => cancelJob(access, target)
}
