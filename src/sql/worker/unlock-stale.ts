import { ownSchema } from '../names.ts'
import { identifier, type Statement, statement } from '../statement.ts'

/**
 * Unlocks jobs and queues that have been locked for four hours, like the engine, unless a registered worker holds them.
 * A registered worker either runs a long job, or is dead and another worker rescues its jobs. So the rule applies only
 * to other processes, because kretes cannot tell whether they are alive.
 *
 * No index finds locks. Reading 200,000 jobs takes 50 ms, and each worker does so about every nine minutes.
 */
export function unlockStale(schema: string): Statement {
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
