import { identifier } from './statement.ts'

/** A job as {@linkcode fetchStatement} gives it, beside the columns of the engine's. */
export interface FetchedJob {
  readonly id: string
  readonly job_queue_id: number | null
  /** The task that it has in the database now: ids may have been given anew since the worker has started. */
  task_identifier: string
  readonly task_name?: string
  readonly queue_name?: string | null
  /** Whether there was more, too large to be fetched together. */
  readonly is_cut?: boolean
}

/** A statement that is prepared under a name. */
interface FetchStatement {
  readonly name: string
  readonly text: string
  readonly values: readonly unknown[]
}

/**
 * Locks jobs for a worker as the engine does, one of each queue, but tells tasks and queues by their names, which no
 * `restart identity` gives to others, and takes no more payload at once than a worker can bear.
 */
export function fetchStatement(
  schema: string,
  { worker, tasks, size }: { readonly worker: string; readonly tasks: readonly string[]; readonly size: number }
): FetchStatement {
  const key = `${size} ${schema}`
  const text = texts.get(key) ?? write(identifier(schema).sql, size)
  texts.set(key, text)
  return { name: `kretes_fetch${size}`, text, values: [worker, tasks] }
}

const texts = new Map<string, string>()

/** The number is part of the text: the plan depends on it. */
function write(engine: string, size: number): string {
  return `
    with found as (
      select job.id, job.job_queue_id, job.priority, job.run_at, job.payload
      from ${engine}._private_jobs job
      where job.is_available = true
        and job.run_at <= now()
        and job.task_id = any(array(select id from ${engine}._private_tasks where identifier = any($2::text[])))
        and (
          job.job_queue_id is null
          or job.job_queue_id in (
            select queue.id from ${engine}._private_job_queues queue where queue.is_available = true for update skip locked
          )
        )
      order by job.priority, job.run_at
      limit ${size}
      for update skip locked
    ), firsts as (
      select distinct on (job_queue_id, case when job_queue_id is null then id end)
        id, job_queue_id, priority, run_at,
        case when pg_column_compression(payload) is null then pg_column_size(payload) else octet_length(payload::text) end as bytes
      from found
      order by job_queue_id, case when job_queue_id is null then id end, priority, run_at
    ), sized as (
      select *, sum(bytes) over (order by priority, run_at, id rows unbounded preceding) - bytes as bytes_before
      from firsts
    ), chosen as (
      select id, job_queue_id from sized where bytes_before < ${MOST_BYTES}
    ), queues as (
      update ${engine}._private_job_queues queue
      set locked_by = $1::text, locked_at = now()
      from chosen
      where queue.id = chosen.job_queue_id
    )
    update ${engine}._private_jobs job
    set attempts = job.attempts + 1, locked_by = $1::text, locked_at = now()
    from chosen
    where job.id = chosen.id
    returning
      job.*,
      (select identifier from ${engine}._private_tasks task where task.id = job.task_id) as task_name,
      (select queue_name from ${engine}._private_job_queues queue where queue.id = job.job_queue_id) as queue_name,
      (select count(*) from chosen) < (select count(*) from firsts) as is_cut`
}

/** Of JSON text, with the first job in any case. Parsed, it takes a few times as much memory. */
const MOST_BYTES = 16 * 2 ** 20
