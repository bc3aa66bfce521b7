import type { Retention } from '../../rules/retention.ts'
import { peerTimings } from '../../rules/timings.ts'
import type { QueueChoice } from '../flow/choice.ts'
import { isUsers, ownSchema } from '../names.ts'
import { type Access, type Fragment, identifier, type Statement, statement, textArray } from '../statement.ts'
import { dueSince } from '../times.ts'
import { lockClass } from '../worker/heartbeat.ts'
import { queueCounters } from './counters.ts'
import { IS_FAILURE } from './schema.ts'
import { JOB_STATE } from './state.ts'

/** The number of jobs of a task or a queue in each state. */
export interface LiveRow {
  readonly name: string
  readonly waiting: number
  readonly scheduled: number
  readonly running: number
  readonly retrying: number
  readonly failed: number
  readonly oldestWaitingMs: number | null
}

/** A queue with jobs, and the worker that holds the queue. */
export interface LiveQueueRow extends LiveRow {
  readonly worker: string | null
  readonly heldSince: string | null
}

/** The result of {@linkcode readLive}. */
export interface Live {
  readonly at: string
  readonly tasks: readonly LiveRow[]
  /** The queues with the most waiting jobs. */
  readonly queues: readonly LiveQueueRow[]
  /** The number of queues with jobs. With many queue names, queues without jobs count too. */
  readonly queueCount: number
}

/**
 * Counts the jobs that are not done, by task, and by queue for the queues with the most jobs. With many queue names, a
 * sample of the jobs decides which queues these are. The more names there are, the smaller the sample, so many names
 * cost no more than few.
 */
export async function readLive({ execute, schema }: Access, maxQueues: number): Promise<Live> {
  const engine = identifier(schema)
  const [row] = await execute<{ live: string }>(statement`
    with by_task as (
      ${countedBy(schema, 'task_id')}
      group by 1, 2
    ), tasks as (
      select task.identifier as name, ${SUMS}
      from ${engine}._private_tasks task
      left join by_task on by_task.task_id = task.id
      group by task.id
      order by 1
    ), names as materialized (
      select count(*) as count, greatest(1, count(*) / ${MANY_QUEUES}::text::int) as step
      from ${engine}._private_job_queues queue
      where ${isUsers('queue')}
    ), ranked as materialized (
      select id, ready, jobs
      from (
        select job_queue_id as id, count(*) filter (where is_available and run_at <= now()) as ready, count(*) as jobs
        from ${engine}._private_jobs
        where job_queue_id is not null and id % (select step from names) = 0
        group by 1
      ) counted
      join ${engine}._private_job_queues queue using (id)
      where ${isUsers('queue')}
    ), by_queue as (
      ${countedBy(schema, 'job_queue_id')}
      where job.job_queue_id in (select id from ranked order by ready desc, jobs desc limit ${maxQueues}::text::int)
      group by 1, 2
    ), queues as (
      select queue.queue_name as name, ${SUMS}, queue.locked_by as worker, queue.locked_at as "heldSince"
      from by_queue
      join ${engine}._private_job_queues queue on queue.id = by_queue.job_queue_id
      group by queue.id
      order by waiting desc, running desc, retrying desc, scheduled desc, name
    )
    select json_build_object(
      'at', now(),
      'tasks', coalesce((select json_agg(tasks) from tasks), '[]'),
      'queues', coalesce((select json_agg(queues) from queues), '[]'),
      'queueCount', (select case when step > 1 then count else (select count(*) from ranked) end from names)
    )::text as live`)
  return JSON.parse(row!.live)
}

/** If there are at least twice as many names, a sample of the jobs decides which queues have the most jobs. */
const MANY_QUEUES = 10_000

function countedBy(schema: string, column: 'task_id' | 'job_queue_id'): Fragment {
  const since = dueSince('job.run_at', 'job.created_at')
  return {
    sql: `select job.${column}, ${JOB_STATE} as state, count(*) as jobs, min(${since}) as oldest
      from ${identifier(schema).sql}._private_jobs job
      left join ${ownIn(schema).sql}.workers worker on worker.id = job.locked_by`
  }
}

/** How the runs of a task or a queue ended in a span of time. */
export interface PastRow {
  readonly name: string
  readonly succeeded: number
  readonly failures: number
  readonly ended: number
  readonly waitingMs: number
  /** The durations of the runs that succeeded: pairs of a duration bucket and a number of runs, the shortest first. */
  readonly buckets: readonly (readonly [number, number])[]
}

/** The result of {@linkcode readPastTasks}. */
export interface Past {
  /** The start of the first minute that was counted. */
  readonly since: string
  readonly tasks: readonly PastRow[]
}

/** Sums up the counters of the last minutes, by task. */
export async function readPastTasks({ execute, schema }: Access, windowMs: number): Promise<Past> {
  const [row] = await execute<{ past: string }>(statement`
    with recent as materialized (
      select task as name, state, duration_bucket, sum(runs) as runs, sum(waiting_ms) as waiting_ms
      from ${ownIn(schema)}.counters
      where level in (0, 1, 2) and minute >= ${sinceOf(windowMs)}
      group by task, state, duration_bucket
    ), ${SUMMED}
    select json_build_object(
      'since', ${sinceOf(windowMs)},
      'tasks', coalesce((select json_agg(summed) from summed), '[]')
    )::text as past`)
  return JSON.parse(row!.past)
}

/**
 * Finds the queues with runs that ended in the last minutes, the queues with the most runs first, and counts all of
 * them.
 */
export async function findPastQueues(
  { execute, schema }: Access,
  windowMs: number,
  most: number
): Promise<{ readonly queues: readonly string[]; readonly count: number }> {
  const [row] = await execute<{ past: string }>(statement`
    with recent as materialized (
      select queue, sum(runs) as runs
      from ${queuesSince(schema, windowMs)} counter
      group by queue
    )
    select json_build_object(
      'queues', array(select queue from recent order by runs desc, queue limit ${most}::text::int),
      'count', (select count(*) from recent)
    )::text as past`)
  return JSON.parse(row!.past)
}

/** Sums up the counters of the last minutes for some queues. */
export async function readPastQueues(
  { execute, schema }: Access,
  windowMs: number,
  queues: readonly string[]
): Promise<PastRow[]> {
  const [row] = await execute<{ past: string }>(statement`
    with recent as materialized (
      select queue as name, state, duration_bucket, sum(runs) as runs, sum(waiting_ms) as waiting_ms
      from ${queuesSince(schema, windowMs)} counter
      join unnest(${textArray(queues)}::text::text[]) listed on listed = queue
      group by queue, state, duration_bucket
    ), ${SUMMED}
    select coalesce(json_agg(summed), '[]')::text as past from summed`)
  return JSON.parse(row!.past)
}

/** Finds the workers that hold these queues. A queue without jobs may still be held by the worker of its last job. */
export async function readQueueHolders(
  { execute, schema }: Access,
  queues: readonly string[]
): Promise<Pick<LiveQueueRow, 'name' | 'worker' | 'heldSince'>[]> {
  const [row] = await execute<{ queues: string }>(statement`
    select coalesce(json_agg(
      json_build_object('name', queue_name, 'worker', locked_by, 'heldSince', locked_at)
    ), '[]')::text as queues
    from ${identifier(schema)}._private_job_queues
    where queue_name = any(${textArray(queues)}::text::text[]) and locked_at is not null`)
  return JSON.parse(row!.queues)
}

/** A registered worker. */
export interface WorkerRow {
  readonly id: string
  readonly host: string
  readonly pid: number
  readonly concurrency: number
  /** The ids of the jobs that the worker runs. */
  readonly running: readonly string[]
  readonly tasks: readonly string[]
  /** The version of each task that has one. */
  readonly versions: Readonly<Record<string, number>>
  readonly queues: QueueChoice
  /** How long the worker keeps runs; `null` if it records none. */
  readonly retention: Retention | null
  readonly startedAt: string
  readonly beatAt: string
  readonly beatAgeMs: number
  readonly isAlive: boolean
}

/** Reads the registered workers. A worker is dead if its last beat is old and its lock is free. */
export async function readWorkers({ execute, schema }: Access): Promise<WorkerRow[]> {
  const [row] = await execute<{ workers: string }>(workersStatement(schema))
  return JSON.parse(row!.workers)
}

function workersStatement(schema: string): Statement {
  return statement`
    select coalesce(json_agg(json_build_object(
      'id', id,
      'host', host,
      'pid', pid,
      'concurrency', concurrency,
      'running', array(select unnest(running)::text),
      'tasks', coalesce(tasks, '{}'),
      'versions', coalesce(task_versions, '{}'),
      'queues', coalesce(queues, '{"kind":"except","names":[]}'),
      'retention', retention,
      'startedAt', started_at,
      'beatAt', beat_at,
      'beatAgeMs', greatest(0, extract(epoch from now() - beat_at) * 1000),
      'isAlive', beat_at > now() - ${peerTimings.staleAfterMs}::text::float8 * interval '1 millisecond' or exists (
        select from pg_locks
        where locktype = 'advisory' and granted and classid = ${lockClass(schema)}::text::oid
          and objid = lock_id::oid
          and database = (select oid from pg_database where datname = current_database())
      )
    ) order by started_at, id), '[]')::text as workers
    from ${ownIn(schema)}.workers`
}

const SUMS: Fragment = {
  sql: `coalesce(sum(jobs) filter (where state = 'waiting'), 0) as waiting,
        coalesce(sum(jobs) filter (where state = 'scheduled'), 0) as scheduled,
        coalesce(sum(jobs) filter (where state = 'running'), 0) as running,
        coalesce(sum(jobs) filter (where state = 'retrying'), 0) as retrying,
        coalesce(sum(jobs) filter (where state = 'failed'), 0) as failed,
        extract(epoch from now() - min(oldest) filter (where state = 'waiting')) * 1000 as "oldestWaitingMs"`
}

const SUMMED: Fragment = {
  sql: `summed as (
      select
        name,
        coalesce(sum(runs) filter (where state = 'succeeded'), 0) as succeeded,
        coalesce(sum(runs) filter (where ${IS_FAILURE}), 0) as failures,
        sum(runs) as ended,
        sum(waiting_ms) as "waitingMs",
        coalesce(
          json_agg(json_build_array(duration_bucket, runs) order by duration_bucket) filter (where state = 'succeeded'),
          '[]'
        ) as buckets
      from recent
      where name is not null
      group by name
    )`
}

/** Counters have the resolution of a minute, so the whole first minute counts. */
function sinceOf(windowMs: number): Fragment {
  return { sql: `date_trunc('minute', now() - ${Math.round(windowMs)} * interval '1 millisecond')` }
}

function queuesSince(schema: string, windowMs: number): Fragment {
  return { sql: queueCounters(ownIn(schema).sql, sinceOf(windowMs).sql) }
}

function ownIn(schema: string): Fragment {
  return identifier(ownSchema(schema))
}
