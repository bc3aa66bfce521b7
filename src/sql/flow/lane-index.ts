import { LANE, LIMITED } from '../../rules/lanes.ts'
import { type Execute, type Fragment, identifier, statement } from '../statement.ts'

/** Whether a waiting `job` is in a lane. The index has the same condition. */
export const IS_LANED: Fragment = {
  sql: `job.is_available and job_queue_id is not null and (job.flags -> '${LIMITED}') is not null`
}

/** Creates the indexes of jobs in lanes, and of those in other queues. */
export async function indexLanes(execute: Execute, schema: string): Promise<void> {
  const engine = identifier(schema)
  const jobs: Fragment = { sql: `${engine.sql}._private_jobs` }
  const isLimited: Fragment = { sql: `(flags -> '${LIMITED}')` }
  await execute(statement`drop index if exists ${engine}.kretes_queued`)
  await execute(statement`
    create index kretes_queued on ${jobs} (priority, run_at) include (id, task_id, job_queue_id)
    where is_available and job_queue_id is not null and ${isLimited} is null`)
  await execute(statement`drop index if exists ${engine}.kretes_queues_in_order`)
  await execute(statement`
    create index kretes_queues_in_order on ${jobs} (job_queue_id, priority, run_at, id)
    where is_available and job_queue_id is not null and ${isLimited} is null`)
  await execute(statement`
    create index if not exists kretes_lanes on ${jobs} (job_queue_id, priority, run_at, id)
    where is_available and job_queue_id is not null and ${isLimited} is not null`)
  await execute(statement`
    create index if not exists kretes_lanes_in_time on ${jobs} (run_at) include (task_id)
    where is_available and job_queue_id is not null and ${isLimited} is not null`)
}

/** The key of a `job` in a lane, of a `task`; `null` for other jobs and without keys. */
export function limitKey(engine: string): Fragment {
  return {
    sql: `case when (job.flags -> '${LIMITED}') is not null then (
        select substr(queue_name, ${LANE.length + 2} + length(task.identifier))
        from ${identifier(engine).sql}._private_job_queues
        where id = job.job_queue_id and starts_with(queue_name, '${LANE}' || task.identifier || ' ')
      ) end`
  }
}
