import { LANE } from '../../rules/lanes.ts'
import { ownSchema } from '../names.ts'
import { type Execute, type Fragment, identifier, type Statement, statement, textArray } from '../statement.ts'
import type { Ending } from '../worker/ending.ts'

/**
 * Creates the tables of starts and holds.
 *
 * Starts count the jobs that have begun, for each limit with a rate and each of its keys. When a worker has claimed jobs, a row
 * of the worker counts all of them at the latest time at which they may begin. When each has begun or was given back, the
 * worker replaces the row by the times at which they began. These are kept in rows without a worker, each for a hundredth of
 * the period, with the latest time.
 *
 * A hold lets no jobs of a limit, or of one key of it, begin for a while.
 */
export async function createRates(execute: Execute, own: string): Promise<void> {
  const schema = identifier(own)
  await execute(statement`
    alter table ${schema}.declared_limits
      alter column concurrency drop not null,
      add column if not exists rate_count integer,
      add column if not exists rate_ms bigint,
      add column if not exists set_rate_count integer check (set_rate_count > 0),
      add column if not exists set_rate_ms bigint check (set_rate_ms > 0)`)
  await execute(statement`
    create table if not exists ${schema}.starts (
      limit_name text not null,
      part text not null,
      worker text not null,
      number bigint not null,
      count integer not null,
      at timestamptz not null,
      primary key (limit_name, part, worker, number)
    )`)
  await execute(statement`
    create index if not exists starts_of_workers on ${schema}.starts (worker, number) where worker <> ''`)
  await execute(statement`
    create table if not exists ${schema}.holds (
      limit_name text not null,
      part text not null,
      until timestamptz not null,
      primary key (limit_name, part)
    )`)
}

/** The notification that a limit was set, or that its holds were ended. */
export const LIMITS_CHANNEL = 'kretes:limits'

/** How many jobs a row of `limits` lets begin within its period; `null` without a rate. */
export const RATE_COUNT: Fragment = { sql: 'coalesce(limits.set_rate_count, limits.rate_count)' }

/** The period of a row of `limits`. */
export const RATE_PERIOD: Fragment = {
  sql: `(coalesce(limits.set_rate_ms, limits.rate_ms) * interval '1 millisecond')`
}

/** The starts of a limit and a part that count now, as a condition on the table `starts`. */
export function areCounted(part: string): Fragment {
  return {
    sql: `starts.limit_name = limits.name and starts.part = ${part} and starts.at > clock_timestamp() - ${RATE_PERIOD.sql}`
  }
}

/** Jobs of one lane that were claimed together, and each of which has begun or was given back. */
export interface Begun {
  /** The number of the row in the table of starts. */
  readonly number: number
  /** When jobs have begun, by `performance.now()` of this process. */
  readonly startsMs: readonly number[]
}

/** Replaces the rows that were counted for claimed jobs by the times at which these jobs have begun. */
export function recordStarts(schema: string, worker: string, begun: readonly Begun[]): Statement {
  const tables = identifier(ownSchema(schema))
  const nowMs = performance.now()
  const starts = begun.flatMap(({ number, startsMs }) => startsMs.map(ms => ({ number, agoMs: nowMs - ms })))
  return {
    ...statement`
    with claimed as (
      delete from ${tables}.starts
      where worker <> '' and worker = ${worker}::text and number = any(${textArray(begun.map(({ number }) => number))}::text::bigint[])
      returning limit_name, part, number
    ), begun as (
      select limits.name, part, clock_timestamp() - ago * interval '1 millisecond' as at, extract(epoch from ${RATE_PERIOD}) as period
      from claimed
      join unnest(
        ${textArray(starts.map(({ number }) => number))}::text::bigint[],
        ${textArray(starts.map(({ agoMs }) => agoMs))}::text::float8[]
      ) start (number, ago) using (number)
      join ${tables}.declared_limits limits on limits.name = claimed.limit_name
    )
    insert into ${tables}.starts as starts (limit_name, part, worker, number, count, at)
    select name, part, '', floor(extract(epoch from at) * 100 / period)::bigint as number, count(*), max(at)
    from begun
    where period is not null
    group by name, part, 4
    order by name, part, 4
    on conflict (limit_name, part, worker, number) do update
      set count = starts.count + excluded.count, at = greatest(starts.at, excluded.at)`,
    name: 'kretes_record_starts'
  }
}

/** Removes the rows of claims whose answers were lost: none of their jobs has begun. */
export function forgetClaims(
  schema: string,
  worker: string,
  numbers: readonly { readonly after: number; readonly to: number }[]
): Statement {
  return statement`
    delete from ${identifier(ownSchema(schema))}.starts
    using json_to_recordset(${JSON.stringify(numbers)}::text::json) lost (after bigint, "to" bigint)
    where worker <> '' and worker = ${worker}::text and number > lost.after and number <= lost."to"`
}

/** Holds the limits that runs have asked to hold. A hold never becomes shorter. */
export function holdLimits(schema: string, worker: string, endings: readonly Ending[]): Statement {
  const [engine, tables] = [identifier(schema), identifier(ownSchema(schema))]
  const nowMs = performance.now()
  const holds = endings.flatMap(({ id, endedMs, next }) => {
    if (next.kind !== 'wait' || next.holds === undefined) return []
    const { limit, delayMs, until } = next.holds
    return { id, limit, until, delay: delayMs === undefined ? undefined : delayMs - (nowMs - endedMs) }
  })
  return {
    ...statement`
    insert into ${tables}.holds as holds (limit_name, part, until)
    select
      limits.name,
      case when is_keyed then substr(queue_name, ${{ sql: String(LANE.length + 2) }} + length(task.identifier)) else '' end as part,
      max(coalesce(hold.until, clock_timestamp() + hold.delay * interval '1 millisecond'))
    from json_to_recordset(${JSON.stringify(holds)}::text::json) hold (id bigint, "limit" text, delay float8, until timestamptz)
    join ${engine}._private_jobs job on job.id = hold.id and job.locked_by = ${worker}::text
    join ${engine}._private_tasks task on task.id = job.task_id
    join ${engine}._private_job_queues queue on queue.id = job.job_queue_id
    join ${tables}.declared_limits limits on limits.name = hold.limit
    group by 1, 2
    order by 1, 2
    on conflict (limit_name, part) do update set until = greatest(holds.until, excluded.until)`,
    name: 'kretes_hold_limits'
  }
}

/** Removes starts and holds that count no more. */
export async function forgetStarts(execute: Execute, schema: string): Promise<void> {
  const tables = identifier(ownSchema(schema))
  await execute(statement`
    with rows as (
      select starts.ctid from ${tables}.starts
      left join ${tables}.declared_limits limits on limits.name = starts.limit_name
      where starts.at < now() - coalesce(${RATE_PERIOD}, '0')
      for update of starts skip locked
    )
    delete from ${tables}.starts using rows where starts.ctid = rows.ctid`)
  await execute(statement`delete from ${tables}.holds where until < now()`)
}
