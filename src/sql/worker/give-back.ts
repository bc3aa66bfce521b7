import { identifier, type Statement, statement, textArray } from '../statement.ts'

/**
 * Releases jobs that a worker has not begun, so that any worker can run them. The jobs get back the attempt that their
 * lock has counted.
 *
 * @param keepsQueues whether their queues stay locked, because the worker has begun other jobs of them
 */
export function giveBackJobs(schema: string, worker: string, ids: readonly string[], keepsQueues = false): Statement {
  const engine = identifier(schema)
  return {
    ...statement`
    with free as (
      update ${engine}._private_jobs
      set locked_at = null, locked_by = null, attempts = greatest(0, attempts - 1)
      where id = any(${textArray(ids)}::text::bigint[]) and locked_by = ${worker}::text
      returning job_queue_id
    )
    update ${engine}._private_job_queues queue
    set locked_at = null, locked_by = null
    from free
    where queue.id = free.job_queue_id and queue.locked_by = ${worker}::text and not ${String(keepsQueues)}::text::bool`,
    name: 'kretes_give_back'
  }
}
