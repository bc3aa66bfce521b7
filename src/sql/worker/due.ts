import { LIMITED } from '../../rules/lanes.ts'
import { type Choice, choosing, IS_CHOSEN, isChosenLane, isChosenQueue, valuesOf } from '../flow/choice.ts'
import { IS_LANED } from '../flow/lane-index.ts'
import { untilNext } from '../recurring/fire.ts'
import { table as recurringTable } from '../recurring/row.ts'
import { WAITS } from '../recurring/schema.ts'
import { type Execute, type Fragment, identifier, statement, textArray } from '../statement.ts'
import { IS_QUEUED } from './claim/queues.ts'

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
 * The indexes start with the task and the priority, or with the priority. The statement reads each task and each priority
 * separately. Then 100,000 jobs that are scheduled for next week cost nothing.
 */
export async function nextDueTimes(
  execute: Execute,
  schema: string,
  choice: Choice,
  withinMs: number
): Promise<DueTimes> {
  const jobs: Fragment = { sql: `${identifier(schema).sql}._private_jobs job` }
  const isSoon = statement`run_at > now() - interval '1 second'
          and run_at <= now() + ${withinMs}::text::float8 * interval '1 millisecond'
          and ${IS_CHOSEN}`
  const rows = await execute<{ ms: number | null; occurrence: string | null }>(statement`
    with recursive ${choosing(schema, choice.queues, valuesOf(choice))}, of_free (task_id, priority) as (
      select task.id, (
        select priority from ${jobs} where task_id = task.id and ${FREE} order by priority limit 1
      )
      from unnest((select ids from known)) task (id)
      union all
      select before.task_id, (
        select priority from ${jobs} where task_id = before.task_id and ${FREE} and priority > before.priority
        order by priority limit 1
      )
      from of_free before where before.priority is not null
    ), of_queued (priority) as (
      (select priority from ${jobs} where ${QUEUED} order by priority limit 1)
      union all
      select (select priority from ${jobs} where ${QUEUED} and priority > before.priority order by priority limit 1)
      from of_queued before where before.priority is not null
    ), due as (
      select job.run_at
      from of_free first, lateral (
        select run_at from ${jobs}
        where ${FREE} and job.task_id = first.task_id and job.priority = first.priority and ${isSoon}
        order by run_at limit ${{ sql: MOST }}
      ) job
      where ${{ sql: choice.queues.kind === 'only' ? 'false' : 'true' }}
      union all
      select job.run_at
      from of_queued first, lateral (
        select run_at from ${jobs}
        where ${QUEUED} and job.priority = first.priority and ${isSoon}
          and ${{ sql: isChosenQueue(choice.queues, 'job.job_queue_id') }}
          and not exists (
            select from ${identifier(schema)}._private_job_queues queues
            where queues.id = job.job_queue_id and queues.locked_at is not null
          )
        order by run_at limit ${{ sql: MOST }}
      ) job
      union all
      select job.run_at
      from (
        select run_at from ${jobs}
        where ${IS_LANED} and ${isSoon} and ${isChosenLane(schema, choice.queues, 'job.job_queue_id')}
        order by run_at limit ${{ sql: MOST }}
      ) job
    )
    select distinct ceil(extract(epoch from due.run_at - clock_timestamp()) * 1000)::int as ms, next.occurrence
    from (select (${untilNext(schema)})::text as occurrence) next left join due on true
    order by ms limit ${{ sql: MOST }}`)
  const occurrence = rows[0]?.occurrence ?? null
  return { jobs: rows.flatMap(({ ms }) => ms ?? []), occurrence: occurrence === null ? null : Number(occurrence) }
}

/** A part of the waiting jobs. Each part has an index of its own. */
const FREE: Fragment = { sql: 'is_available and job_queue_id is null' }
const QUEUED: Fragment = { sql: `is_available and ${IS_QUEUED}` }

/**
 * Whether there is a due job that the worker may take, or a recurring job is due. The job's queue must be free, or
 * held by this worker.
 *
 * @param options.without the names of recurring jobs that do not count
 */
export async function hasDueJobs(
  execute: Execute,
  schema: string,
  { worker, choice, without }: { worker: string; choice: Choice; without: readonly string[] }
): Promise<boolean> {
  const ofQueue = isChosenQueue(choice.queues, 'queue.id')
  const [row] = await execute<{ due: boolean }>(statement`
    with ${choosing(schema, choice.queues, valuesOf(choice))}
    select exists (
      select from ${identifier(schema)}._private_jobs job
      left join ${identifier(schema)}._private_job_queues queue on queue.id = job.job_queue_id
      where job.is_available and job.run_at <= now() and ${IS_CHOSEN}
        and case
          when job.job_queue_id is null then ${{ sql: choice.queues.kind === 'only' ? 'false' : 'true' }}
          when (job.flags -> '${{ sql: LIMITED }}') is not null then
            ${isChosenLane(schema, choice.queues, 'job.job_queue_id')}
          else (queue.locked_by is null or queue.locked_by = ${worker}::text) and ${{ sql: ofQueue }}
        end
    ) or exists (
      select from ${recurringTable({ schema })} where ${WAITS} and next_at <= now() and name <> all(${textArray(without)}::text::text[])
    ) as due`)
  return row?.due ?? false
}

/** The maximum number of jobs for one query. The next query finds the jobs after them. */
const MOST = '200'
