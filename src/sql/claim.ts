import type { Sql } from 'postgres'
import { identifier } from './statement.ts'

/** A job as {@linkcode claimJobs} gives it, beside the columns of the engine's. */
export interface ClaimedJob {
  readonly id: string
  readonly job_queue_id: number | null
  /** The task that it has in the database now: ids may have been given anew since the worker has started. */
  task_identifier: string
  readonly task_name?: string
  readonly queue_name?: string | null
  /** Whether there was more, too large to be taken together. */
  readonly is_cut?: boolean
}

/** What {@linkcode claimJobs} takes. */
export interface Claim {
  readonly worker: string
  /** The names of the tasks that it runs. */
  readonly tasks: readonly string[]
  /** How many jobs at most. */
  readonly size: number
}

/**
 * Locks jobs for a worker in the order in which the engine does, one of each queue, but
 *
 * - costs no more with many names of queues than with few: the engine locks every queue that is free before it looks for
 *   jobs. Here a queue is locked when one of its jobs comes along;
 * - tells tasks and queues by their names, which no `restart identity` gives to others;
 * - takes no more payload at once than a worker can bear.
 */
export function claimJobs(
  schema: string,
  { worker, tasks, size }: Claim
): { readonly name: string; readonly text: string; readonly values: readonly unknown[] } {
  const key = `${size} ${schema}`
  const text = texts.get(key) ?? claiming(identifier(schema).sql, size)
  texts.set(key, text)
  return { name: `kretes_claim${size}`, text, values: [worker, tasks] }
}

const texts = new Map<string, string>()

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
 *
 * A queue is passed over if a worker has one of its jobs. That is a short cut only, so that what waits behind it is
 * passed by fast; whether it is free, its own row says, as it is at this moment.
 *
 * The number is part of the text: the plan depends on it.
 */
function claiming(engine: string, size: number): string {
  const ofTasks = `task_id = any(array(select id from ${engine}._private_tasks where identifier = any($2::text[])))`
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
          and ${ofTasks}
        order by priority, run_at
      ) waiting, lateral (
        select id, priority, run_at, job_queue_id, ${BYTES} as bytes
        from ${engine}._private_jobs
        where id = waiting.id and is_available and run_at <= now() and ${ofTasks}
          and coalesce(job_queue_id, 0) = coalesce(waiting.job_queue_id, 0)
          and (waiting.job_queue_id is null or exists (
            select from ${engine}._private_job_queues queue
            where queue.id = waiting.job_queue_id and queue.is_available
            for update skip locked
          ))
        for update skip locked
      ) job
      order by waiting.priority, waiting.run_at
      limit ${size}
    ), firsts as (
      select distinct on (job_queue_id, case when job_queue_id is null then id end) *
      from found
      order by job_queue_id, case when job_queue_id is null then id end, priority, run_at, id
    ), sized as (
      select *, sum(bytes) over (order by priority, run_at, id rows unbounded preceding) - bytes as bytes_before
      from firsts
    ), chosen as (
      select id, job_queue_id from sized where bytes_before < ${MOST_BYTES}
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
      returning
        job.*,
        (select identifier from ${engine}._private_tasks task where task.id = job.task_id) as task_name,
        (select queue_name from ${engine}._private_job_queues queue where queue.id = job.job_queue_id) as queue_name,
        (select count(*) from chosen) < (select count(*) from firsts) as is_cut
    )
    select * from claimed order by priority, run_at, id`
}

/** So that the server expects to remember them all. Queues beyond are looked at one by one. */
const MOST_BUSY = 10_000

/** How large a payload is as text; only of one that is compressed does that have to be found out. */
const BYTES =
  'case when pg_column_compression(payload) is null then pg_column_size(payload) else octet_length(payload::text) end'

/** Of JSON text, with the first job in any case. Parsed, it takes a few times as much memory. */
const MOST_BYTES = 16 * 2 ** 20
