import type { Choice } from '../flow/choice.ts'
import { isRunnable, pausedQueues } from '../flow/pauses.ts'
import { isFitting } from '../flow/versions.ts'
import { castOf, type Target, toColumn } from '../jobs/waiting.ts'
import { isCancelled, isUnlimited, isUsers, ownSchema } from '../names.ts'
import { type Access, type Fragment, identifier, type Statement, statement, textArray } from '../statement.ts'
import { JOB_STATE } from './state.ts'
import { ATTEMPTS_MADE } from './views.ts'

/** A job that is not done, with the facts that decide when it runs. */
export interface LiveJobRow {
  readonly id: string
  readonly task: string
  readonly queue: string | null
  readonly key: string | null
  readonly state: string
  readonly priority: number
  readonly attempts: number
  readonly maxAttempts: number
  readonly scheduledAt: string
  readonly readyAt: string
  readonly isDue: boolean
  /** By the database's clock; `null` if the time is infinite. */
  readonly dueInMs: number | null
  readonly error: string | null
  readonly worker: string | null
  readonly fetchedAt: string | null
  readonly isCancelled: boolean
  readonly flags: Readonly<Record<string, unknown>> | null
  readonly queueWorker: string | null
  readonly queueHeldSince: string | null
  /** The job of the same queue that a worker has locked: the one that runs, or else the first that it has fetched. */
  readonly queueJob: string | null
  readonly isQueueJobRunning: boolean | null
}

/** Finds a job that is not done. */
export async function findLiveJob({ execute, schema }: Access, target: Target): Promise<LiveJobRow | undefined> {
  const engine = identifier(schema)
  const { column, value } = toColumn(target)
  const [row] = await execute<{ job: string }>(statement`
    select json_build_object(
      'id', job.id::text,
      'task', task.identifier,
      'queue', queue.queue_name,
      'key', job.key,
      'state', ${{ sql: JOB_STATE }},
      'priority', job.priority,
      'attempts', ${{ sql: ATTEMPTS_MADE }},
      'maxAttempts', job.max_attempts,
      'scheduledAt', job.created_at,
      'readyAt', job.run_at,
      'isDue', job.run_at <= now(),
      'dueInMs', case when isfinite(job.run_at) then date_part('epoch', job.run_at - now()) * 1000 end,
      'error', job.last_error,
      'worker', job.locked_by,
      'fetchedAt', job.locked_at,
      'flags', job.flags,
      'isCancelled', ${isCancelled('job.flags')},
      'queueWorker', queue.locked_by,
      'queueHeldSince', queue.locked_at,
      'queueJob', holding.id::text,
      'isQueueJobRunning', holding.id = any(holder.running)
    )::text as job
    from ${engine}._private_jobs job
    join ${engine}._private_tasks task on task.id = job.task_id
    left join ${engine}._private_job_queues queue on queue.id = job.job_queue_id and ${isUsers('queue')}
    left join ${ownIn(schema)}.workers worker on worker.id = job.locked_by
    left join ${ownIn(schema)}.workers holder on holder.id = queue.locked_by
    left join lateral (
      select other.id from ${engine}._private_jobs other
      where other.job_queue_id = job.job_queue_id and other.locked_at is not null and other.locked_by = queue.locked_by
      order by other.id = any(holder.running) desc, other.priority, other.run_at, other.id
      limit 1
    ) holding on queue.locked_at is not null
    where job.${column} = ${value}::text${castOf(target)}`)
  return row && JSON.parse(row.job)
}

/** The number of jobs that come before a job, and the id of the first of them. */
export interface Before {
  readonly count: number
  readonly first: string | null
}

/**
 * Counts the jobs of the same queue that could run now and come before a job. The job that holds the queue does not
 * count.
 */
export async function countBeforeInQueue({ execute, schema }: Access, id: string): Promise<Before> {
  const engine = identifier(schema)
  const [row] = await execute<{ before: string }>(statement`
    select json_build_object(
      'count', count(other.id),
      'first', (array_agg(other.id::text order by other.priority, other.run_at, other.id))[1]
    )::text as before
    from ${engine}._private_jobs job
    join ${engine}._private_jobs other on other.job_queue_id = job.job_queue_id
    join ${engine}._private_tasks task on task.id = other.task_id
    where job.id = ${id}::text::bigint and other.is_available and ${COMES_BEFORE} and ${isRunnable(schema, 'task.identifier')}`)
  return JSON.parse(row!.before)
}

/** Counts the jobs of these tasks that could run now and come before a job. */
export async function countBefore(
  { execute, schema }: Access,
  id: string,
  { tasks, versions }: Pick<Choice, 'tasks' | 'versions'>
): Promise<Before> {
  const engine = identifier(schema)
  const [row] = await execute<{ before: string }>(statement`
    select json_build_object(
      'count', count(other.id),
      'first', (array_agg(other.id::text order by other.priority, other.run_at, other.id))[1]
    )::text as before
    from ${engine}._private_jobs job
    cross join lateral (${comingBefore(schema, 'is null')} union all ${comingBefore(schema, 'is not null')}) other
    join ${engine}._private_tasks task on task.id = other.task_id
    where job.id = ${id}::text::bigint and task.identifier = any(${textArray(tasks)}::text::text[])
      and ${isRunnable(schema, 'task.identifier')}
      and ${isFitting('other', statement`${JSON.stringify(versions)}::text::json`, 'task.identifier')}
      and not exists (
        select from ${engine}._private_job_queues queue
        where queue.id = other.job_queue_id and (queue.locked_at is not null or queue.queue_name in (${pausedQueues(schema)}))
      )`)
  return JSON.parse(row!.before)
}

/** The jobs without a queue, or with one, that come before a job. Each of the two has an index of its own. */
function comingBefore(schema: string, hasQueue: 'is null' | 'is not null'): Statement {
  return statement`
      select other.id, other.priority, other.run_at, other.task_id, other.job_queue_id, other.flags
      from ${identifier(schema)}._private_jobs other
      where other.is_available and other.job_queue_id ${{ sql: hasQueue }} and ${isUnlimited('other')} and ${COMES_BEFORE}`
}

/** The last run of a job. */
export interface LastRunRow {
  readonly task: string
  readonly queue: string | null
  readonly state: string
  /** Whether this run ended the job. */
  readonly isOver: boolean
  readonly attempt: number
  readonly finishedAt: string
  readonly worker: string | null
  readonly error: string | null
}

/** Finds the last run of a job in the ledger. */
export async function findLastRun({ execute, schema }: Access, id: string): Promise<LastRunRow | undefined> {
  const [row] = await execute<{ run: string }>(statement`
    select json_build_object(
      'task', task,
      'queue', queue,
      'state', state,
      'isOver', is_over,
      'attempt', attempt,
      'finishedAt', finished_at,
      'worker', worker,
      'error', error_message
    )::text as run
    from ${ownIn(schema)}.runs
    where job_id = ${id}::text::bigint
    order by finished_at desc
    limit 1`)
  return row && JSON.parse(row.run)
}

/** Whether the engine has ever given this id to a job. */
export async function wasIdGiven({ execute, schema }: Access, id: string): Promise<boolean> {
  const [row] = await execute<{ given: string }>(statement`
    select (${id}::text::bigint <= coalesce(
      pg_sequence_last_value(pg_get_serial_sequence(format('%I._private_jobs', ${schema}::text), 'id')::regclass), 0
    ))::text as given`)
  return row?.given === 'true'
}

/** The order in which workers fetch. */
const COMES_BEFORE: Fragment = {
  sql: `other.id <> job.id and other.run_at <= now()
      and (other.priority, other.run_at, other.id) < (job.priority, job.run_at, job.id)`
}

function ownIn(schema: string): Fragment {
  return identifier(ownSchema(schema))
}
