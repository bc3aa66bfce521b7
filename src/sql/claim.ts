import type { Sql } from 'postgres'
import type { PreparedStatement } from './complete.ts'
import { identifier } from './statement.ts'

/**
 * Fetches jobs as the engine does, in its order and by its parameters (the worker and the numbers of its tasks), but
 * costs no more with many names of queues than with few: the engine locks every queue that is free before it looks for
 * jobs. Here a queue is locked when one of its jobs comes along.
 *
 * A queue is passed over if a worker has one of its jobs. That is a short cut only, so that what waits behind it is
 * passed by fast; whether it is free, its own row says, as it is at this moment.
 */
export function claimJobs(schema: string, count: number, values: readonly unknown[]): PreparedStatement {
  return { name: `kretes_claim${count}`, text: claiming(identifier(schema).sql, count), values }
}

/**
 * Leads to the queues of which a worker has a job. Jobs without a queue are not in it and cost nothing.
 *
 * Earlier versions forgot queues without a job, and could strand a job that came at the same moment: its queue is there
 * again, by another name.
 */
export async function indexBusyQueues(session: Sql, schema: string): Promise<void> {
  await session`
    insert into ${session(schema)}._private_job_queues (id, queue_name) overriding system value
    select distinct job_queue_id, 'forgotten queue ' || job_queue_id from ${session(schema)}._private_jobs job
    where job_queue_id is not null
      and not exists (select from ${session(schema)}._private_job_queues queue where queue.id = job.job_queue_id)
    on conflict do nothing`
  await session`
    create index if not exists kretes_busy_queues on ${session(schema)}._private_jobs (job_queue_id)
    where locked_at is not null and job_queue_id is not null`
}

/**
 * The jobs that wait are read from the index alone, one by one until there are enough. Only then is each locked, after
 * its queue, and looked at again: it may have changed. Of several jobs of one queue the first is kept.
 */
function claiming(engine: string, count: number): string {
  return `
    with found as (
      select job.*
      from (
        select id, priority, run_at, job_queue_id
        from ${engine}._private_jobs
        where is_available and run_at <= now()
          and (job_queue_id is null or job_queue_id not in (
            select busy.job_queue_id from ${engine}._private_jobs busy
            where busy.locked_at is not null and busy.job_queue_id is not null
            order by busy.job_queue_id limit ${MOST_BUSY}
          ))
          and task_id = any($2::int[])
        order by priority, run_at
      ) waiting, lateral (
        select id, priority, run_at, job_queue_id
        from ${engine}._private_jobs
        where id = waiting.id and is_available and run_at <= now() and task_id = any($2::int[])
          and coalesce(job_queue_id, 0) = coalesce(waiting.job_queue_id, 0)
          and (waiting.job_queue_id is null or exists (
            select from ${engine}._private_job_queues queue
            where queue.id = waiting.job_queue_id and queue.is_available
            for update skip locked
          ))
        for update skip locked
      ) job
      order by waiting.priority, waiting.run_at
      limit ${count}
    ), chosen as (
      select distinct on (job_queue_id, case when job_queue_id is null then id end) id, job_queue_id
      from found
      order by job_queue_id, case when job_queue_id is null then id end, priority, run_at, id
    ), held as (
      update ${engine}._private_job_queues queue
      set locked_by = $1::text, locked_at = now()
      from chosen
      where queue.id = chosen.job_queue_id
    ), claimed as (
      update ${engine}._private_jobs job
      set attempts = job.attempts + 1, locked_by = $1::text, locked_at = now()
      from chosen
      where job.id = chosen.id
      returning job.*
    )
    select * from claimed order by priority, run_at, id`
}

/** So that the server expects to remember them all. Queues beyond are looked at one by one. */
const MOST_BUSY = 10_000
