import type { Job } from '../../job.ts'
import { LIMITED, SLOTS } from '../../rules/lanes.ts'
import { VERSION, VERSIONED } from '../flow/versions.ts'
import { ADDED, type AddedRow, toJob } from '../jobs/added.ts'
import { OCCURRENCE } from '../names.ts'
import {
  type Access,
  type Execute,
  type Fragment,
  identifier,
  type Statement,
  statement,
  textArray
} from '../statement.ts'
import { type EntryDefinition, milliseconds, table } from './row.ts'
import { IS_THERE, WAITS } from './schema.ts'

/** A recurring job with an occurrence that is due. Times are in milliseconds since 1970. */
export interface DueEntry
  extends Pick<
    EntryDefinition,
    'name' | 'cron' | 'everyMs' | 'timeZone' | 'startMs' | 'endMs' | 'mostMissed' | 'overlap' | 'jitterMs'
  > {
  /** The occurrence, to the microsecond. */
  readonly seen: string
}

/** Recurring jobs that are due, and the time of the database. */
export interface DueEntries {
  readonly nowMs: number
  readonly entries: readonly DueEntry[]
  /** How long it is until the next occurrence of another one; `null` if there is none. */
  readonly nextInMs: number | null
}

/** Finds recurring jobs that are due, those of the earliest occurrence first. */
export async function findDue(
  execute: Execute,
  schema: string,
  limit: number,
  without: readonly string[]
): Promise<DueEntries> {
  const recurring = table({ schema })
  const [row] = await execute<{ now: string; entries: string | null; next: string | null }>(statement`
    select
      floor(${milliseconds('statement_timestamp()')})::text as now,
      (
        select json_agg(json_build_object(
          'name', name,
          'cron', cron,
          'everyMs', every_ms,
          'timeZone', time_zone,
          'startMs', ${milliseconds('start_at')},
          'endMs', ${milliseconds('end_at')},
          'mostMissed', most_missed,
          'overlap', overlap,
          'jitterMs', jitter_ms,
          'seen', ${microseconds('next_at')}::text
        ))::text
        from (
          select * from ${recurring}
          where ${WAITS} and next_at <= statement_timestamp() and ${isNotAmong(without)}
          order by next_at limit ${{ sql: String(limit) }}
        ) due
      ) as entries,
      (${untilNext(schema)} and next_at > statement_timestamp() and ${isNotAmong(without)})::text as next`)
  const { now, entries, next } = row!
  return { nowMs: Number(now), entries: entries === null ? [] : JSON.parse(entries), nextInMs: toNumber(next) }
}

function isNotAmong(names: readonly string[]): Statement {
  return names.length === 0 ? statement`true` : statement`name <> all(${textArray(names)}::text::text[])`
}

/** A subquery for the milliseconds until the next occurrence. More conditions may follow. */
export function untilNext(schema: string): Fragment {
  return {
    sql: `select ${milliseconds('min(next_at) - clock_timestamp()').sql} from ${table({ schema }).sql} where ${WAITS.sql}`
  }
}

/** What becomes of a recurring job that is due. */
export interface Firing {
  readonly name: string
  /** The occurrence of which the caller has read that it is the next one. */
  readonly seen: string
  readonly nextMs: number | null
  /** The occurrences that schedule a job. */
  readonly occurrences: readonly number[]
  /** Why earlier occurrences are left out, or `null`. */
  readonly leftOut: 'missed' | 'overlap' | null
}

/** What {@linkcode fire} has done. */
export interface Fired {
  /** How many recurring jobs this call has moved to their next occurrence. Other workers had moved the others. */
  readonly moved: number
  readonly scheduled: number
}

/**
 * Schedules the jobs of occurrences, and moves each recurring job to its next one. Each row is only moved from the
 * occurrence that the caller has seen, in the statement that schedules the job. So an occurrence is scheduled once, by
 * however many workers, and when one of them dies.
 *
 * Each row is looked up by its name. A join could read all rows while the server has no statistics of the table.
 *
 * The same statement decides about overlap. The job of an earlier occurrence is in the way until it has ended.
 */
export async function fire(execute: Execute, schema: string, firings: readonly Firing[]): Promise<Fired> {
  const recurring = table({ schema })
  const [row] = await execute<{ moved: number; scheduled: number }>(statement`
    with firing as materialized (
      select * from json_to_recordset(${JSON.stringify(firings)}::text::json) as firing (
        name text, seen text, "nextMs" float8, occurrences json, "leftOut" text
      )
    ), entry as materialized (
      select
        recurring.name, task, payload, queue, queue_slots, priority, max_attempts, task_version, overlap, jitter_ms,
        "nextMs" as next_ms, occurrences, "leftOut" as left_out,
        recurring.overlap = 'skip' and json_array_length(occurrences) > 0 and ${isGoing(schema, 'recurring.last_job')} as is_going
      from firing cross join lateral (
        select * from ${recurring}
        where name = firing.name and ${WAITS} and ${microseconds('next_at')}::text = firing.seen
        for update skip locked
      ) recurring
    ), planned as materialized (
      select entry.*, at::float8 as at, ${toFlag('at')} as flag, row_number() over (partition by name order by at::float8) as place
      from entry, json_array_elements_text(occurrences) at
      where not is_going
    ), added as materialized (
      select job.id, job.flags from ${addingPlanned(schema)} job
    ), scheduled as (
      select planned.name, max(added.id) as last_job, max(planned.at) as last
      from added, jsonb_object_keys(added.flags) key
      join planned on planned.flag = key
      group by planned.name
    ), moved as (
      update ${recurring} recurring
      set
        next_at = to_timestamp(entry.next_ms / 1000),
        last_at = coalesce(to_timestamp(scheduled.last / 1000), recurring.last_at),
        last_job = coalesce(scheduled.last_job, recurring.last_job),
        skips = recurring.skips + case when entry.is_going or entry.left_out is not null then 1 else 0 end,
        skipped_at = case when entry.is_going or entry.left_out is not null then statement_timestamp() else recurring.skipped_at end,
        skip_reason = case when entry.is_going then 'overlap' else coalesce(entry.left_out, recurring.skip_reason) end
      from entry left join scheduled on scheduled.name = entry.name
      where recurring.name = entry.name
      returning 1
    )
    select (select count(*) from moved)::int as moved, (select count(*) from added)::int as scheduled`)
  return row!
}

/** Schedules a job of a recurring job now. Its next occurrence stays. */
export async function runEntry(access: Access, name: string): Promise<Job | undefined> {
  const { execute, schema } = access
  const [row] = await execute<AddedRow & { task: string; queue: string | null; at: string }>(statement`
    with entry as materialized (
      select recurring.*, ${milliseconds('statement_timestamp()')} as at, ${isGoing(schema, 'recurring.last_job')} as is_going
      from ${table(access)} recurring
      where name = ${name}::text and ${IS_THERE}
      for update
    ), planned as materialized (
      select
        name, task, payload, queue, queue_slots, priority, max_attempts, task_version, overlap, 0 as jitter_ms, ${toFlag('floor(at)::text')} as flag, 1 as place
      from entry
    ), added as materialized (
      select job.* from ${addingPlanned(schema)} job
    ), noted as (
      update ${table(access)} recurring
      set last_job = added.id
      from added, entry
      where recurring.name = entry.name and not entry.is_going
    )
    select ${ADDED}, entry.task, ${QUEUE} as queue, floor(entry.at)::text as at
    from added job, entry`)
  if (!row) return undefined
  const job = toJob(row, row)
  return job && { ...job, schedule: name, occurrence: new Date(Number(row.at)) }
}

/** Whether a job has not ended: it waits, runs or will be retried. */
function isGoing(schema: string, id: string): Fragment {
  return {
    sql: `exists (
          select from ${identifier(schema).sql}._private_jobs job
          where job.id = ${id} and (job.attempts < job.max_attempts or job.locked_at is not null)
        )`
  }
}

/** Adds the jobs of the rows `planned`, in order. The microseconds keep jobs of one queue in order. */
function addingPlanned(schema: string): Statement {
  return statement`${identifier(schema)}.add_jobs(array(
        select (
          task, payload, ${QUEUE},
          statement_timestamp() + random() * jitter_ms * interval '1 millisecond' + (place - 1) * interval '1 microsecond',
          max_attempts, null, priority, ${FLAGS}
        )::${identifier(schema)}.job_spec
        from planned order by name, place
      ))`
}

/** Jobs that are to run one after another have a queue of their own, unless they have one anyway. */
const QUEUE: Fragment = { sql: "coalesce(queue, case when overlap = 'queue' then 'recurring:' || name end)" }

/** Most recurring jobs have only the first of these. */
const FLAGS: Fragment = {
  sql: `array[flag]
            || case when task_version is not null then array['${VERSIONED}', '${VERSION}' || task_version] end
            || case when queue_slots is not null then array['${LIMITED}', '${SLOTS}' || queue_slots] end`
}

function toFlag(at: string): Fragment {
  return { sql: `'${OCCURRENCE}' || ${at} || ' ' || name` }
}

function microseconds(time: string): Fragment {
  return { sql: `(extract(epoch from ${time}) * 1000000)::bigint` }
}

function toNumber(text: string | null): number | null {
  return text === null ? null : Number(text)
}
