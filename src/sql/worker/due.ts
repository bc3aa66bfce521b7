import { untilNext } from '../recurring/fire.ts'
import { table as recurringTable } from '../recurring/row.ts'
import { WAITS } from '../recurring/schema.ts'
import { type Execute, type Fragment, identifier, type Statement, statement, textArray } from '../statement.ts'

/** What comes due soon, in milliseconds from now, by the server's clock. */
export interface DueTimes {
  /** When each of the next jobs is due, in ascending order. */
  readonly jobs: readonly number[]
  /** When the next occurrence of a recurring job comes, however far away; `null` if there is none. */
  readonly occurrence: number | null
}

/**
 * Finds out what comes due soon.
 *
 * A job that came due in the last second counts too: it may have come due between the last fetch and this query.
 *
 * The indexes start with the priority, so the statement reads each priority separately. Then 100,000 jobs that
 * are scheduled for next week cost nothing.
 */
export async function nextDueTimes(
  execute: Execute,
  schema: string,
  tasks: readonly string[],
  withinMs: number
): Promise<DueTimes> {
  const soon = (half: Half): Statement => statement`
      select job.run_at
      from ${half.priorities} priorities, lateral (
        select run_at from ${identifier(schema)}._private_jobs job
        where ${half.condition}
          and job.priority = priorities.priority
          and run_at > now() - interval '1 second'
          and run_at <= now() + ${withinMs}::text::float8 * interval '1 millisecond'
          and task_id = any((select ids from known)::int[])
          and not exists (
            select from ${identifier(schema)}._private_job_queues queues
            where queues.id = job.job_queue_id and queues.locked_at is not null
          )
        order by run_at limit ${{ sql: MOST }}
      ) job`
  const rows = await execute<{ ms: number | null; occurrence: string | null }>(statement`
    with recursive known as materialized (
      select array_agg(id) as ids from ${identifier(schema)}._private_tasks
      where identifier = any(${textArray(tasks)}::text::text[])
    ), ${prioritiesOf(schema, FREE)}, ${prioritiesOf(schema, QUEUED)}, due as (
      ${soon(FREE)}
      union all
      ${soon(QUEUED)}
    )
    select distinct ceil(extract(epoch from due.run_at - clock_timestamp()) * 1000)::int as ms, next.occurrence
    from (select (${untilNext(schema)})::text as occurrence) next left join due on true
    order by ms limit ${{ sql: MOST }}`)
  const occurrence = rows[0]?.occurrence ?? null
  return { jobs: rows.flatMap(({ ms }) => ms ?? []), occurrence: occurrence === null ? null : Number(occurrence) }
}

/** Half of the waiting jobs. Each half has an index of its own. */
interface Half {
  readonly condition: Fragment
  /** The name of the expression with their priorities. */
  readonly priorities: Fragment
}

const FREE: Half = { condition: { sql: 'is_available and job_queue_id is null' }, priorities: { sql: 'of_free' } }
const QUEUED: Half = {
  condition: { sql: 'is_available and job_queue_id is not null' },
  priorities: { sql: 'of_queued' }
}

/** The priorities of jobs. The index leads from one to the next, so the number of jobs does not matter. */
function prioritiesOf(schema: string, { condition, priorities }: Half): Statement {
  const jobs = { sql: `${identifier(schema).sql}._private_jobs` }
  return statement`${priorities} (priority) as (
      (select priority from ${jobs} where ${condition} order by priority limit 1)
      union all
      select (select priority from ${jobs} where ${condition} and priority > known.priority order by priority limit 1)
      from ${priorities} known where priority is not null
    )`
}

/**
 * Whether these tasks have a due job that no worker runs, or a recurring job is due. The job's queue must be free, or
 * held by this worker.
 *
 * @param options.without the names of recurring jobs that do not count
 */
export async function hasDueJobs(
  execute: Execute,
  schema: string,
  { worker, tasks, without }: { worker: string; tasks: readonly string[]; without: readonly string[] }
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
    ) or exists (
      select from ${recurringTable({ schema })} where ${WAITS} and next_at <= now() and name <> all(${textArray(without)}::text::text[])
    ) as due`)
  return row?.due ?? false
}

/** The maximum number of jobs for one query. The next query finds the jobs after them. */
const MOST = '200'
