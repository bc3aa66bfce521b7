import { createHistoryView } from '../flow/history.ts'
import { limitKey } from '../flow/lane-index.ts'
import { createLimitsView } from '../flow/limits.ts'
import { createPausesView } from '../flow/pauses.ts'
import { ATTEMPTS, isUsers, occurrenceColumns } from '../names.ts'
import { IS_THERE } from '../recurring/schema.ts'
import { type Execute, type Fragment, identifier, type Statement, statement, textArray } from '../statement.ts'
import { dueSince } from '../times.ts'
import { queueCounters } from './counters.ts'
import { BUCKETS_PER_DOUBLING, IS_FAILURE, IS_OVER } from './schema.ts'
import { JOB_STATE } from './state.ts'

/**
 * Creates the views that answer questions about jobs in SQL. The views are a public interface: columns are added, and
 * never renamed or removed. The table `workers` is public too.
 *
 * Call this in a transaction, so that other statements find the old views until it commits.
 */
export async function createViews(execute: Execute, own: string, engine: string): Promise<void> {
  await dropViews(execute, own)
  await createJobs(execute, own, engine)
  await createRuns(execute, own)
  await createRates(execute, own)
  await createTasks(execute, own, engine)
  await createQueues(execute, own, engine)
  await createSchedules(execute, own)
  await createPausesView(execute, own)
  await createLimitsView(execute, own, engine)
  await createHistoryView(execute, own)
  for (const view of VIEWS) {
    await execute(statement`
      comment on view ${identifier(own)}.${identifier(view)} is ${{ sql: `'${MARK}${NEWEST_VIEWS}'` }}`)
  }
}

/** The version of the existing views, as an SQL expression; 0 if a view is missing or was not created by kretes. */
export function versionOfViews(own: string): Statement {
  return statement`(
    select case when count(*) = ${{ sql: String(VIEWS.length) }} then
      min(coalesce(substring(obj_description(oid, 'pg_class') from ${`^${MARK}(\\d{1,9})$`}::text)::int, 0))
    else 0 end
    from pg_class
    where relnamespace = to_regnamespace(quote_ident(${own}::text)) and relkind = 'v' and relname = any(${textArray(VIEWS)}::text::text[])
  )`
}

/** Drops the views, because the engine's migrations cannot change a table that a view uses. */
export async function dropViews(execute: Execute, own: string): Promise<void> {
  const [found] = await execute<{ there: string }>(statement`
    select (to_regnamespace(quote_ident(${own}::text)) is not null)::text as there`)
  if (found?.there !== 'true') return
  for (const view of VIEWS) {
    await execute(statement`drop view if exists ${identifier(own)}.${identifier(view)}`)
  }
}

/**
 * Creates the view of the jobs that are not done. A fetched job is `running` if its worker reports that it runs the
 * job. The report is at most two seconds old. All fetched jobs of other processes are `running`, because they report
 * nothing.
 */
async function createJobs(execute: Execute, own: string, engine: string): Promise<void> {
  await execute(statement`
    create view ${identifier(own)}.jobs as
    select
      job.id,
      task.identifier as task,
      queue.queue_name as queue,
      job.key,
      ${{ sql: JOB_STATE }} as state,
      job.payload,
      job.priority,
      ${{ sql: ATTEMPTS_MADE }} as attempts,
      job.max_attempts,
      job.created_at as scheduled_at,
      job.run_at as ready_at,
      job.locked_at as fetched_at,
      job.locked_by as worker,
      job.last_error as error,
      progress.progress,
      progress.message as progress_message,
      job.updated_at,
      ${{ sql: occurrenceColumns('job.flags').schedule }} as schedule,
      ${{ sql: occurrenceColumns('job.flags').occurrence }} as occurrence,
      ${limitKey(engine)} as limit_key
    from ${identifier(engine)}._private_jobs job
    join ${identifier(engine)}._private_tasks task on task.id = job.task_id
    left join ${identifier(engine)}._private_job_queues queue on queue.id = job.job_queue_id and ${isUsers('queue')}
    left join ${identifier(own)}.workers worker on worker.id = job.locked_by
    left join ${identifier(own)}.progress progress on progress.job_id = job.id and job.locked_at is not null`)
}

async function createRuns(execute: Execute, own: string): Promise<void> {
  await execute(statement`
    create view ${identifier(own)}.runs as
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
      greatest(started_at - (${{ sql: dueSince('ready_at', 'scheduled_at') }}), interval '0') as waited,
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
      ${{ sql: IS_OVER }} as is_over,
      schedule,
      occurrence
    from ${identifier(own)}.ledger`)
}

/** Creates the view of runs by minute, and by hour for runs older than a day. The sums are always exact. */
async function createRates(execute: Execute, own: string): Promise<void> {
  await execute(statement`
    create view ${identifier(own)}.rates as
    select
      minute,
      task,
      state,
      sum(runs) as runs,
      sum(waiting_ms) as waiting_ms,
      sum(running_ms) as running_ms
    from ${identifier(own)}.counters
    where level in (0, 1, 2)
    group by minute, task, state`)
}

async function createTasks(execute: Execute, own: string, engine: string): Promise<void> {
  await execute(statement`
    create view ${identifier(own)}.tasks as
    with live as (
      select
        task,
        ${LIVE_COLUMNS}
      from ${identifier(own)}.jobs
      group by task
    ), ${pastOf('task', `${identifier(own).sql}.counters where level in (0, 1, 2) and`)}
    select
      known.identifier as task,
      ${COLUMNS}
    from ${identifier(engine)}._private_tasks known
    left join live on live.task = known.identifier
    left join past on past.task = known.identifier
    left join spread on spread.task = known.identifier`)
}

async function createQueues(execute: Execute, own: string, engine: string): Promise<void> {
  const counters = `${queueCounters(identifier(own).sql, HOUR_AGO)} counter where`
  await execute(statement`
    create view ${identifier(own)}.queues as
    with live as (
      select
        queue,
        ${LIVE_COLUMNS}
      from ${identifier(own)}.jobs
      where queue is not null
      group by queue
    ), ${pastOf('queue', counters)}
    select
      queue,
      held.locked_by as worker,
      held.locked_at as held_since,
      ${COLUMNS}
    from live
    full join past using (queue)
    left join spread using (queue)
    left join ${identifier(engine)}._private_job_queues held on held.queue_name = queue`)
}

/** Creates the view of recurring jobs. */
async function createSchedules(execute: Execute, own: string): Promise<void> {
  await execute(statement`
    create view ${identifier(own)}.schedules as
    select
      name,
      task,
      cron,
      every_ms * interval '1 millisecond' as every,
      time_zone,
      start_at,
      end_at,
      payload,
      queue,
      coalesce(priority, 0::int2) as priority,
      coalesce(max_attempts, 25::int2) as max_attempts,
      most_missed,
      overlap,
      jitter_ms * interval '1 millisecond' as jitter,
      case when paused_at is null then next_at end as next_at,
      last_at,
      last_job,
      skips,
      skipped_at,
      skip_reason,
      paused_at,
      source,
      changed_at is not null as is_changed,
      created_at,
      updated_at
    from ${identifier(own)}.recurring
    where ${IS_THERE}`)
}

const LIVE_COLUMNS: Fragment = {
  sql: `
    count(*) filter (where state = 'waiting') as waiting,
    count(*) filter (where state = 'scheduled') as scheduled,
    count(*) filter (where state = 'running') as running,
    count(*) filter (where state = 'retrying') as retrying,
    count(*) filter (where state = 'failed') as failed,
    min(${dueSince('ready_at', 'scheduled_at')}) filter (where state = 'waiting') as oldest_ready_at`
}

/** Sums up the runs of the last hour. `spread` holds the durations of the succeeded runs, each exact to a tenth. */
function pastOf(by: 'task' | 'queue', counters: string): Fragment {
  return {
    sql: `recent as materialized (
      select ${by}, state, duration_bucket, sum(runs) as runs, sum(waiting_ms) as waiting_ms
      from ${counters} minute > ${HOUR_AGO}
      group by ${by}, state, duration_bucket
    ), past as (
      select
        ${by},
        sum(runs) filter (where state = 'succeeded') as succeeded,
        sum(runs) filter (where ${IS_FAILURE}) as failures,
        sum(waiting_ms) / sum(runs) * interval '1 millisecond' as waited
      from recent
      group by ${by}
    ), ranked as (
      select
        ${by},
        power(2, (duration_bucket + 0.5) / ${BUCKETS_PER_DOUBLING}) * interval '1 millisecond' as took,
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
}

const COLUMNS: Fragment = {
  sql: `
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

/**
 * Raise this number whenever a view changes. The comments of the views in the database contain it, and a test checks
 * it.
 */
export const NEWEST_VIEWS = 9

/** The views, in an order in which they can be dropped. */
const VIEWS = ['limit_history', 'limits', 'pauses', 'schedules', 'queues', 'tasks', 'rates', 'runs', 'jobs']
const HOUR_AGO = "now() - interval '1 hour'"
const MARK = 'kretes, views of version '

/** The number of attempts made at a `job`. The engine counts all attempts as spent when a job fails for good. */
export const ATTEMPTS_MADE = `case
        when job.flags is null or job.locked_at is not null or job.attempts < job.max_attempts then job.attempts
        else least(job.attempts, coalesce(substring(job.flags ->> '${ATTEMPTS}' from '^\\d{1,5}$')::int, job.attempts))::int2
      end`
