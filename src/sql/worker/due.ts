import { type Execute, identifier, statement, textArray } from '../statement.ts'

/**
 * In how many milliseconds jobs come due, the next first, as the server's clock has it.
 *
 * A job that came due this second counts too: it may have done so between the last fetch and this look.
 *
 * The engine's index leads with the priority, so each priority is looked up by itself: a hundred thousand jobs that are
 * scheduled for next week cost nothing.
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

/** As many as one look takes in; what comes after them is found by the next. */
const MOST = '200'
