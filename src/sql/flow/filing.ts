import { LIMITED } from '../../rules/lanes.ts'
import { type Execute, type Fragment, identifier, type Statement, statement, textArray } from '../statement.ts'
import type { Choice } from './choice.ts'
import { isFitting } from './versions.ts'

/** A job of a task with limits that is in no lane. */
export interface UnfiledJob {
  readonly id: string
  readonly task: string
  /** JSON text. */
  readonly payload: string
}

/**
 * Finds due jobs of tasks with limits that are in no lane: jobs of recurring jobs, jobs that were scheduled by the name of
 * their task, or before the task had limits. Those of a newer version of the task are left to its workers.
 */
export function findUnfiled(schema: string, { limited, versions }: Choice, most: number): Statement {
  const engine = identifier(schema)
  return {
    ...statement`
    select job.id::text as id, task.identifier as task, job.payload::text as payload
    from ${engine}._private_tasks task, lateral (
      select id, payload, priority, run_at
      from ${engine}._private_jobs job
      where job.task_id = task.id and job.job_queue_id is null and job.is_available and job.run_at <= now()
        and ${isFitting('job', statement`${JSON.stringify(versions)}::text::jsonb`, 'task.identifier')}
      order by priority, run_at
      limit ${most}::text::int
    ) job
    where task.identifier = any(${textArray(limited)}::text::text[])
    order by job.priority, job.run_at
    limit ${most}::text::int`,
    name: 'kretes_find_unfiled'
  }
}

/** Puts jobs into lanes. */
export async function fileJobs(
  execute: Execute,
  schema: string,
  jobs: readonly { readonly id: string; readonly lane: string }[]
): Promise<void> {
  const engine = identifier(schema)
  const lanes = textArray(jobs.map(({ lane }) => lane))
  const flag: Fragment = { sql: `'{"${LIMITED}": true}'::jsonb` }
  await execute(statement`
    insert into ${engine}._private_job_queues (queue_name)
    select distinct lane from unnest(${lanes}::text::text[]) given (lane)
    where not exists (select from ${engine}._private_job_queues where queue_name = lane)
    order by lane
    on conflict do nothing`)
  await execute(statement`
    update ${engine}._private_jobs job
    set job_queue_id = queue.id, flags = coalesce(job.flags, '{}') || ${flag}
    from unnest(${textArray(jobs.map(({ id }) => id))}::text::bigint[], ${lanes}::text::text[]) given (id, lane)
    join ${engine}._private_job_queues queue on queue.queue_name = given.lane
    where job.id = given.id and job.job_queue_id is null and job.is_available`)
}
