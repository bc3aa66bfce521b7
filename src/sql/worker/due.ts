import { type Execute, identifier, statement, textArray } from '../statement.ts'

/**
 * The number of milliseconds until each of the next jobs is due, in ascending order, by the server's clock.
 *
 * A job that came due in the last second counts too: it may have come due between the last fetch and this query.
 *
 * The engine's index starts with the priority, so the statement reads each priority separately. Then 100,000 jobs that
 * are scheduled for next week cost nothing.
 */
export async function nextDueTimes(
  execute: Execute,
  schema: string,
  tasks: readonly string[],
  withinMs: number
): Promise<number[]> {
  const jobs = { sql: `${identifier(schema).sql}._private_jobs` }
  const rows = await execute<{ ms: number }>(statement`
    with recursive priorities as (
      (select priority from ${jobs} where is_available order by priority limit 1)
      union all
      select (
        select priority from ${jobs} where is_available and priority > priorities.priority order by priority limit 1
      )
      from priorities where priority is not null
    ), due as (
      select soon.run_at
      from priorities, lateral (
        select run_at from ${jobs} as jobs
        where is_available
          and jobs.priority = priorities.priority
          and run_at > now() - interval '1 second'
          and run_at <= now() + ${withinMs}::text::float8 * interval '1 millisecond'
          and task_id in (
            select id from ${identifier(schema)}._private_tasks where identifier = any(${textArray(tasks)}::text::text[])
          )
          and not exists (
            select from ${identifier(schema)}._private_job_queues queues
            where queues.id = jobs.job_queue_id and queues.locked_at is not null
          )
        order by run_at limit ${{ sql: MOST }}
      ) as soon
    )
    select distinct ceil(extract(epoch from run_at - clock_timestamp()) * 1000)::int as ms
    from due order by ms limit ${{ sql: MOST }}`)
  return rows.map(({ ms }) => ms)
}

/** Whether these tasks have a due job that no worker runs. The job's queue must be free, or held by this worker. */
export async function hasDueJobs(
  execute: Execute,
  schema: string,
  tasks: readonly string[],
  worker: string
): Promise<boolean> {
  const [row] = await execute<{ due: boolean }>(statement`
    select exists (
      select from ${identifier(schema)}.jobs
      left join ${identifier(schema)}._private_job_queues queues using (queue_name)
      where task_identifier = any(${textArray(tasks)}::text::text[])
        and run_at <= now()
        and attempts < max_attempts
        and jobs.locked_at is null
        and (queues.locked_by is null or queues.locked_by = ${worker}::text)
    ) as due`)
  return row?.due ?? false
}

/** The maximum number of jobs for one query. The next query finds the jobs after them. */
const MOST = '200'
