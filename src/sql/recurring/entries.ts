import { type Access, type Fragment, type Statement, statement } from '../statement.ts'
import {
  type EntryDefinition,
  type EntryRow,
  type JsonRow,
  NOW,
  REVISION,
  ROW,
  table,
  telling,
  toEntry
} from './row.ts'
import { IS_THERE } from './schema.ts'

/** Which recurring jobs a list contains. `null` means no condition. */
export interface EntryConditions {
  readonly task: string | null
  /** A part of the name. */
  readonly search: string | null
  /** The name after which the page begins. */
  readonly after: string | null
  readonly limit: number
}

/** Finds a recurring job. */
export async function findEntry(access: Access, name: string): Promise<EntryRow | undefined> {
  const [row] = await access.execute<JsonRow>(statement`
    select ${ROW} from ${table(access)} recurring where name = ${name}::text and ${IS_THERE}`)
  return toEntry(row)
}

/** Finds the definition in the code of a recurring job, even of one that was removed by hand. */
export async function findCode(access: Access, name: string): Promise<EntryDefinition | undefined> {
  const [row] = await access.execute<{ code: string }>(statement`
    select code::text as code from ${table(access)} where name = ${name}::text and code is not null`)
  return row && JSON.parse(row.code)
}

/** Reads a page of recurring jobs, by name, and the time of the database. */
export async function findEntries(
  access: Access,
  { task, search, after, limit }: EntryConditions
): Promise<{ readonly nowMs: number; readonly entries: readonly EntryRow[] }> {
  const rows = await access.execute<JsonRow & { now: string }>(statement`
    select ${NOW}::text as now, ${ROW}
    from (select) always
    left join lateral (
      select * from ${table(access)}
      where ${IS_THERE}
        and (${task}::text is null or task = ${task}::text)
        and (${search}::text is null or strpos(lower(name collate "default"), lower(${search}::text)) > 0)
        and (${after}::text is null or name > ${after}::text)
      order by name limit ${{ sql: String(limit) }}
    ) recurring on true
    order by name`)
  return { nowMs: Number(rows[0]!.now), entries: rows.flatMap(row => toEntry(row) ?? []) }
}

/** The names of some recurring jobs, to suggest one. */
export async function findNames(access: Access): Promise<readonly string[]> {
  const rows = await access.execute<{ name: string }>(statement`
    select name from ${table(access)} where ${IS_THERE} order by name limit 1000`)
  return rows.map(({ name }) => name)
}

/** The time of the database, in milliseconds since 1970. It continues during a transaction. */
export async function readNow({ execute }: Pick<Access, 'execute'>): Promise<number> {
  const [row] = await execute<{ now: string }>(statement`select ${NOW}::text as now`)
  return Number(row!.now)
}

/**
 * Writes a recurring job. If its occurrences come at the same times as before, its next occurrence stays.
 *
 * @param isReset whether the definition in the code comes back, instead of being changed by hand
 */
export async function setEntry(access: Access, definition: Planned, isReset: boolean = false): Promise<EntryRow> {
  const [row] = await access.execute<JsonRow>(statement`
    with given as materialized (${given([definition])}), written as (
      insert into ${table(access)} as recurring (name, ${DEFINITION}, next_at)
      select name, ${DEFINITION}, next_at from given
      on conflict (name) do update set
        ${REDEFINED},
        changed_at = ${{ sql: isReset ? 'null' : 'case when recurring.code is not null then now() end' }}
      returning *
    )
    select ${ROW}, ${telling(access, 'recurring')} from written recurring`)
  return toEntry(row)!
}

/** A definition with its next occurrence. */
export type Planned = EntryDefinition & { readonly nextMs: number | null }

/** The definitions as rows of the table. */
export function given(definitions: readonly Planned[]): Statement {
  return statement`
      select
        item ->> 'name' as name, item ->> 'task' as task, item ->> 'cron' as cron, (item ->> 'everyMs')::bigint as every_ms,
        item ->> 'timeZone' as time_zone, ${toTime('startMs')} as start_at, ${toTime('endMs')} as end_at,
        (item ->> 'payload')::json as payload, item ->> 'queue' as queue, (item ->> 'slots')::int as queue_slots, (item ->> 'priority')::int2 as priority,
        (item ->> 'maxAttempts')::int2 as max_attempts, (item ->> 'version')::int as task_version, (item ->> 'mostMissed')::int as most_missed,
        item ->> 'overlap' as overlap, (item ->> 'jitterMs')::bigint as jitter_ms, ${toTime('nextMs')} as next_at,
        item as code
      from json_array_elements(${JSON.stringify(definitions)}::text::json) item`
}

const COLUMNS = [
  'task',
  'cron',
  'every_ms',
  'time_zone',
  'start_at',
  'end_at',
  'payload',
  'queue',
  'queue_slots',
  'priority',
  'max_attempts',
  'task_version',
  'most_missed',
  'overlap',
  'jitter_ms'
]

/** The columns of a definition. */
export const DEFINITION: Fragment = { sql: listOf(column => column) }

/** The assignments of a new definition for a row that exists. One that was removed begins anew. */
export const REDEFINED: Fragment = {
  sql: `${listOf(column => `${column} = excluded.${column}`)},
        next_at = case
          when recurring.removed_at is null
            and (recurring.cron, recurring.every_ms, recurring.time_zone, recurring.start_at, recurring.end_at)
              is not distinct from (excluded.cron, excluded.every_ms, excluded.time_zone, excluded.start_at, excluded.end_at)
          then coalesce(recurring.next_at, excluded.next_at)
          else excluded.next_at
        end,
        removed_at = null,
        orphaned_at = null,
        updated_at = now()`
}

function listOf(write: (column: string) => string): string {
  return COLUMNS.map(write).join(', ')
}

/** Pauses a recurring job. */
export async function pauseEntry(access: Access, name: string): Promise<EntryRow | undefined> {
  const [row] = await access.execute<JsonRow>(statement`
    update ${table(access)} as recurring
    set paused_at = coalesce(paused_at, now()), updated_at = now()
    where name = ${name}::text and ${IS_THERE}
    returning ${ROW}`)
  return toEntry(row)
}

/**
 * Lets a paused job recur again, from its next occurrence on.
 *
 * @param seen the row from which the caller has computed the next occurrence
 * @returns `undefined` if the row has changed
 */
export async function resumeEntry(
  access: Access,
  seen: EntryRow,
  nextMs: number | null
): Promise<EntryRow | undefined> {
  const [row] = await access.execute<JsonRow>(statement`
    with resumed as (
      update ${table(access)} recurring
      set paused_at = null, next_at = ${toTimeOf(nextMs)}, updated_at = now()
      where name = ${seen.name}::text and ${IS_THERE} and ${REVISION} = ${seen.revision}::text
      returning *
    )
    select ${ROW}, ${telling(access, 'recurring')} from resumed recurring`)
  return toEntry(row)
}

/**
 * Removes a recurring job. One that code declares keeps its row, so that the code does not bring it back.
 */
export async function removeEntry(access: Access, name: string): Promise<EntryRow | undefined> {
  const [row] = await access.execute<JsonRow>(statement`
    with found as (
      select * from ${table(access)} where name = ${name}::text and ${IS_THERE} for update
    ), hidden as (
      update ${table(access)} recurring set removed_at = now(), updated_at = now()
      from found where recurring.name = found.name and found.code is not null
    ), deleted as (
      delete from ${table(access)} recurring using found where recurring.name = found.name and found.code is null
    )
    select ${ROW} from found recurring`)
  return toEntry(row)
}

function toTime(key: string): Fragment {
  return { sql: `to_timestamp((item ->> '${key}')::float8 / 1000)` }
}

function toTimeOf(ms: number | null): Statement {
  return statement`to_timestamp(${ms}::text::float8 / 1000)`
}
