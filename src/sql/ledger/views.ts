import type { PendingQuery, Row, Sql } from 'postgres'
import { ATTEMPTS } from '../names.ts'
import { identifier } from '../statement.ts'
import { dueSince } from '../times.ts'
import { queueCounters } from './counters.ts'
import { BUCKETS_PER_DOUBLING, IS_FAILURE, IS_OVER } from './schema.ts'
import { JOB_STATE } from './state.ts'

/**
 * Makes the views by which SQL answers every question about jobs. They are the public interface: columns are added, and
 * never renamed or removed. (`workers` is a table, and as public as they are.)
 *
 * To be called in a transaction: who asks meanwhile then finds those that were there before.
 */
export async function createViews(session: Sql, own: string, engine: string): Promise<void> {
  await dropViews(session, own)
  await createJobs(session, own, engine)
  await createRuns(session, own)
  await createRates(session, own)
  await createTasks(session, own, engine)
  await createQueues(session, own, engine)
  for (const view of VIEWS) {
    await session`comment on view ${session(own)}.${session(view)} is ${session.unsafe(`'${MARK}${NEWEST_VIEWS}'`)}`
  }
}

/** The version of the views that are there, as an expression; 0 if one is missing or was made by something else. */
export function versionOfViews(session: Sql, own: string): PendingQuery<Row[]> {
  return session`(
    select case when count(*) = ${session.unsafe(String(VIEWS.length))} then
      min(coalesce(substring(obj_description(oid, 'pg_class') from ${`^${MARK}(\\d{1,9})$`}::text)::int, 0))
    else 0 end
    from pg_class
    where relnamespace = to_regnamespace(quote_ident(${own})) and relkind = 'v' and relname in ${session(VIEWS)}
  )`
}

/** Takes the views away: the engine's migrations cannot change a table that a view shows. */
export async function dropViews(session: Sql, own: string): Promise<void> {
  const [found] = await session<
    { exists: boolean }[]
  >`select to_regnamespace(quote_ident(${own})) is not null as exists`
  if (!found?.exists) return
  for (const view of VIEWS) {
    await session`drop view if exists ${session(own)}.${session(view)}`
  }
}

/**
 * The jobs that are not done. Of those that a worker has fetched, `running` are the ones that it says it runs; what a
 * worker says is at most two seconds old, and one that is none of ours says nothing.
 */
async function createJobs(session: Sql, own: string, engine: string): Promise<void> {
  await session`
    create view ${session(own)}.jobs as
    select
      job.id,
      task.identifier as task,
      queue.queue_name as queue,
      job.key,
      ${session.unsafe(JOB_STATE)} as state,
      job.payload,
      job.priority,
      ${session.unsafe(ATTEMPTS_MADE)} as attempts,
      job.max_attempts,
      job.created_at as scheduled_at,
      job.run_at as ready_at,
      job.locked_at as fetched_at,
      job.locked_by as worker,
      job.last_error as error,
      progress.progress,
      progress.message as progress_message,
      job.updated_at
    from ${session(engine)}._private_jobs job
    join ${session(engine)}._private_tasks task on task.id = job.task_id
    left join ${session(engine)}._private_job_queues queue on queue.id = job.job_queue_id
    left join ${session(own)}.workers worker on worker.id = job.locked_by
    left join ${session(own)}.progress progress on progress.job_id = job.id and job.locked_at is not null`
}

async function createRuns(session: Sql, own: string): Promise<void> {
  await session`
    create view ${session(own)}.runs as
    select
      job_id,
      task,
      queue,
      key,
      attempt,
      max_attempts,
      state,
      scheduled_at,
      ready_at,
      started_at,
      finished_at,
      greatest(started_at - (${session.unsafe(dueSince('ready_at', 'scheduled_at'))}), interval '0') as waited,
      finished_at - started_at as took,
      worker,
      error ->> 'name' as error_name,
      error ->> 'message' as error_message,
      error,
      result,
      payload,
      log,
      priority,
      trace_id,
      is_failure,
      result_problem,
      ${session.unsafe(IS_OVER)} as is_over
    from ${session(own)}.ledger`
}

/** Runs by minute, and by hour from a day ago on; exact at any time. */
async function createRates(session: Sql, own: string): Promise<void> {
  await session`
    create view ${session(own)}.rates as
    select
      minute,
      task,
      state,
      sum(runs) as runs,
      sum(waiting_ms) as waiting_ms,
      sum(running_ms) as running_ms
    from ${session(own)}.counters
    where level in (0, 1, 2)
    group by minute, task, state`
}

async function createTasks(session: Sql, own: string, engine: string): Promise<void> {
  await session`
    create view ${session(own)}.tasks as
    with live as (
      select
        task,
        ${liveColumns(session)}
      from ${session(own)}.jobs
      group by task
    ), ${pastOf(session, session`task`, session`${session(own)}.counters where level in (0, 1, 2) and`)}
    select
      known.identifier as task,
      ${columns(session)}
    from ${session(engine)}._private_tasks known
    left join live on live.task = known.identifier
    left join past on past.task = known.identifier
    left join spread on spread.task = known.identifier`
}

async function createQueues(session: Sql, own: string, engine: string): Promise<void> {
  const ofQueues = session`${session.unsafe(queueCounters(identifier(own).sql, HOUR_AGO))} counter where`
  await session`
    create view ${session(own)}.queues as
    with live as (
      select
        queue,
        ${liveColumns(session)}
      from ${session(own)}.jobs
      where queue is not null
      group by queue
    ), ${pastOf(session, session`queue`, ofQueues)}
    select
      queue,
      held.locked_by as worker,
      held.locked_at as held_since,
      ${columns(session)}
    from live
    full join past using (queue)
    left join spread using (queue)
    left join ${session(engine)}._private_job_queues held on held.queue_name = queue`
}

function liveColumns(session: Sql): PendingQuery<Row[]> {
  return session`
    count(*) filter (where state = 'waiting') as waiting,
    count(*) filter (where state = 'scheduled') as scheduled,
    count(*) filter (where state = 'running') as running,
    count(*) filter (where state = 'retrying') as retrying,
    count(*) filter (where state = 'failed') as failed,
    min(${session.unsafe(dueSince('ready_at', 'scheduled_at'))}) filter (where state = 'waiting') as oldest_ready_at`
}

/** What ended in the last hour; `spread` tells how long the succeeded ones took, each within a tenth. */
function pastOf(session: Sql, by: PendingQuery<Row[]>, counters: PendingQuery<Row[]>): PendingQuery<Row[]> {
  return session`recent as materialized (
      select ${by}, state, duration_bucket, sum(runs) as runs, sum(waiting_ms) as waiting_ms
      from ${counters} minute > ${session.unsafe(HOUR_AGO)}
      group by ${by}, state, duration_bucket
    ), past as (
      select
        ${by},
        sum(runs) filter (where state = 'succeeded') as succeeded,
        sum(runs) filter (where ${session.unsafe(IS_FAILURE)}) as failures,
        sum(waiting_ms) / sum(runs) * interval '1 millisecond' as waited
      from recent
      group by ${by}
    ), ranked as (
      select
        ${by},
        power(2, (duration_bucket + 0.5) / ${session.unsafe(String(BUCKETS_PER_DOUBLING))}) * interval '1 millisecond' as took,
        sum(runs) over (partition by ${by} order by duration_bucket) as upto,
        sum(runs) over (partition by ${by}) as total
      from recent
      where state = 'succeeded'
    ), spread as (
      select
        ${by},
        min(took) filter (where upto >= total * 0.5) as p50,
        min(took) filter (where upto >= total * 0.95) as p95,
        min(took) filter (where upto >= total * 0.99) as p99
      from ranked
      group by ${by}
    )`
}

function columns(session: Sql): PendingQuery<Row[]> {
  return session`
    coalesce(waiting, 0) as waiting,
    coalesce(scheduled, 0) as scheduled,
    coalesce(running, 0) as running,
    coalesce(retrying, 0) as retrying,
    coalesce(failed, 0) as failed,
    now() - oldest_ready_at as oldest_waiting,
    coalesce(succeeded, 0) as succeeded_last_hour,
    coalesce(failures, 0) as failures_last_hour,
    waited as average_waited_last_hour,
    p50 as p50_last_hour,
    p95 as p95_last_hour,
    p99 as p99_last_hour`
}

/** To be raised whenever one of the views changes. A database keeps it as their comments; a test holds it against them. */
export const NEWEST_VIEWS = 4

/** In the order in which they can be dropped. */
const VIEWS = ['queues', 'tasks', 'rates', 'runs', 'jobs']
const HOUR_AGO = "now() - interval '1 hour'"
const MARK = 'kretes, views of version '

/** How many attempts at a `job` there were; the engine spends all of them when it gives a job up. */
export const ATTEMPTS_MADE = `case
        when job.flags is null or job.locked_at is not null or job.attempts < job.max_attempts then job.attempts
        else least(job.attempts, coalesce(substring(job.flags ->> '${ATTEMPTS}' from '^\\d{1,5}$')::int, job.attempts))::int2
      end`
