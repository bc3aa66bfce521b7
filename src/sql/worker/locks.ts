import { ownSchema } from '../names.ts'
import { identifier, type Statement, statement } from '../statement.ts'

/**
 * Frees jobs and queues that have been locked for four hours, as the engine does, unless a worker on our register holds
 * them: that worker runs a long job, or is dead and its peers rescue its jobs. So the rule is for other processes, which
 * cannot be told to be alive or dead.
 *
 * No index leads to locks, and reading 200,000 jobs takes 50 ms, which each worker does every nine minutes or so.
 */
export function unlockAbandoned(schema: string): Statement {
  const engine = identifier(schema)
  const workers = { sql: `${identifier(ownSchema(schema)).sql}.workers` }
  return statement`
    with jobs as (
      update ${engine}._private_jobs job
      set locked_at = null, locked_by = null, run_at = greatest(run_at, now())
      where locked_at < now() - interval '4 hours'
        and not exists (select from ${workers} worker where worker.id = job.locked_by)
    )
    update ${engine}._private_job_queues queue
    set locked_at = null, locked_by = null
    where locked_at < now() - interval '4 hours'
      and not exists (select from ${workers} worker where worker.id = queue.locked_by)`
}
