import { LANE } from '../../rules/lanes.ts'
import { ownSchema } from '../names.ts'
import { type Access, type Execute, type Fragment, identifier, type Statement, statement } from '../statement.ts'
import { notifyWorkers } from '../worker/notify.ts'
import { limitKey } from './lane-index.ts'

/** What a pause holds back. */
export interface Target {
  readonly kind: 'all' | 'task' | 'queue' | 'limit'
  /** Empty for everything. */
  readonly name: string
  /** The key of a task or of a limit whose jobs alone are held back, as lanes have it. */
  readonly key: string | null
}

/** A row of the table of pauses, as JSON. */
export interface PauseRow extends Target {
  readonly since: string
  readonly by: string
  readonly reason: string | null
  readonly isKnown: boolean
  /** The tasks that have the limit; `null` for pauses of another kind. */
  readonly tasks: readonly string[] | null
}

/** Creates the table of pauses. It is almost always empty, and always small, because each fetch reads it. */
export async function createPauses(execute: Execute, own: string): Promise<void> {
  await execute(statement`
    create table if not exists ${identifier(own)}.paused (
      kind text not null check (kind in ('all', 'task', 'queue')),
      name text not null,
      paused_at timestamptz not null default clock_timestamp(),
      paused_by text not null,
      reason text,
      primary key (kind, name)
    )`)
}

/** Adds pauses of limits, and of single keys. The kind of the latter is `task key` or `limit key`. */
export async function addPausesOfKeys(execute: Execute, own: string): Promise<void> {
  const paused: Fragment = { sql: `${identifier(own).sql}.paused` }
  await execute(statement`
    alter table ${paused}
      add column if not exists key text not null default '',
      drop constraint if exists paused_kind_check,
      add constraint paused_kind_check check (kind in ('all', 'task', 'queue', 'limit', 'task key', 'limit key')),
      drop constraint if exists paused_pkey,
      add constraint paused_pkey primary key (kind, name, key)`)
}

/** Creates the view of the pauses. */
export async function createPausesView(execute: Execute, own: string): Promise<void> {
  await execute(statement`
    create view ${identifier(own)}.pauses as
    select split_part(kind, ' ', 1) as kind, nullif(name, '') as name, ${KEY} as key, paused_at, paused_by, reason
    from ${identifier(own)}.paused`)
}

/** Pauses a target. If it is paused already, only the reason and the person change. */
export async function pause(
  { execute, schema }: Access,
  target: Target,
  { by, reason }: { readonly by: string | null; readonly reason: string | null }
): Promise<PauseRow> {
  const [row] = await execute<{ pause: string }>(statement`
    insert into ${tableIn(schema)} as paused (kind, name, key, paused_by, reason)
    values (
      ${kindOf(target)}::text, ${target.name}::text, ${target.key ?? ''}::text, coalesce(${by}::text, session_user), ${reason}::text
    )
    on conflict (kind, name, key) do update set paused_by = excluded.paused_by, reason = excluded.reason
    returning ${toJson(schema)}::text as pause`)
  return JSON.parse(row!.pause)
}

/** Ends a pause, and tells the workers. Returns the pause, or `undefined` if there was none. */
export async function resume({ execute, schema }: Access, target: Target): Promise<PauseRow | undefined> {
  const [row] = await execute<{ pause: string }>(statement`
    delete from ${tableIn(schema)} paused
    where kind = ${kindOf(target)}::text and name = ${target.name}::text and key = ${target.key ?? ''}::text
    returning ${toJson(schema)}::text as pause`)
  if (row) await notifyWorkers(execute, 1)
  return row && JSON.parse(row.pause)
}

/** Lists the pauses, the oldest first. */
export async function listPauses({ execute, schema }: Access): Promise<readonly PauseRow[]> {
  return await list(execute, schema, statement`true`)
}

/** Lists the pauses that hold back a job, the oldest first. */
export async function listPausesOf({ execute, schema }: Access, id: string): Promise<readonly PauseRow[]> {
  const engine = identifier(schema)
  return await list(
    execute,
    schema,
    statement`exists (
      select from ${engine}._private_jobs job
      join ${engine}._private_tasks task on task.id = job.task_id
      where job.id = ${id}::text::bigint and case paused.kind
        when 'all' then true
        when 'task' then paused.name = task.identifier
        when 'queue' then paused.name = (select queue_name from ${engine}._private_job_queues where id = job.job_queue_id)
        when 'limit' then ${{ sql: hasLimit(schema, 'task.identifier') }}
        else paused.key = ${limitKey(schema)} and case paused.kind
          when 'task key' then paused.name = task.identifier
          else ${{ sql: hasLimit(schema, 'task.identifier') }}
        end
      end
    )`
  )
}

/**
 * Whether a task, or a limit that tasks share, is known not to have keys. It is not known before a worker has registered it.
 */
export async function lacksKeys({ execute, schema }: Access, { kind, name }: Target): Promise<boolean> {
  const own = identifier(ownSchema(schema))
  const limits =
    kind === 'task'
      ? statement`select json_array_elements_text(definition -> 'limits') from ${own}.definitions where name = ${name}::text`
      : statement`select ${`limit ${name}`}::text`
  const isKnown =
    kind === 'task'
      ? statement`exists (select from ${own}.definitions where name = ${name}::text)`
      : statement`exists (select from ${own}.declared_limits where name = ${`limit ${name}`}::text)`
  const [row] = await execute<{ lacks: string }>(statement`
    select (${isKnown} and not exists (
      select from ${own}.declared_limits where is_keyed and name in (${limits})
    ))::text as lacks`)
  return row?.lacks === 'true'
}

/** An SQL condition: whether neither a task, nor one of its limits, nor everything is paused. */
export function isRunnable(schema: string, task: string): Fragment {
  return {
    sql: `not exists (
        select from ${tableIn(schema).sql} paused
        where paused.kind = 'all' or (paused.kind = 'task' and paused.name = ${task})
          or (paused.kind = 'limit' and ${hasLimit(schema, task)})
      )`
  }
}

/** A query for the names of the paused queues. */
export function pausedQueues(schema: string): Fragment {
  return { sql: `select name from ${tableIn(schema).sql} where kind = 'queue'` }
}

/** A query for the ids of the lanes whose keys are paused. */
export function pausedLanes(schema: string): Fragment {
  const [engine, own] = [identifier(schema).sql, identifier(ownSchema(schema)).sql]
  return {
    sql: `select queue.id
        from ${tableIn(schema).sql} paused
        join ${own}.definitions on case paused.kind
          when 'task key' then definitions.name = paused.name
          when 'limit key' then ${HAS_LIMIT}
        end
        join ${engine}._private_job_queues queue on queue.queue_name = '${LANE}' || definitions.name || ' ' || paused.key
        where paused.kind like '% key'`
  }
}

/** The key of a row of `paused`; `null` if it is no pause of a key. */
const KEY: Fragment = { sql: "case when kind like '% key' then key end" }

/** Whether a row of `definitions` has the limit of a row of `paused`. */
const HAS_LIMIT = "(definitions.definition -> 'limits')::jsonb ? ('limit ' || paused.name)"

/** Whether a task has the limit of a row of `paused`. */
function hasLimit(schema: string, task: string): string {
  return `exists (
            select from ${identifier(ownSchema(schema)).sql}.definitions where definitions.name = ${task} and ${HAS_LIMIT}
          )`
}

function kindOf({ kind, key }: Target): string {
  return key === null ? kind : `${kind} key`
}

function tableIn(schema: string): Fragment {
  return { sql: `${identifier(ownSchema(schema)).sql}.paused` }
}

async function list(execute: Execute, schema: string, condition: Statement): Promise<readonly PauseRow[]> {
  const [row] = await execute<{ pauses: string }>(statement`
    select coalesce(json_agg(${toJson(schema)} order by paused_at, kind, name, key), '[]')::text as pauses
    from ${tableIn(schema)} paused
    where ${condition}`)
  return JSON.parse(row!.pauses)
}

/** A row of the table `paused` as JSON. */
function toJson(schema: string): Fragment {
  const [engine, own] = [identifier(schema).sql, identifier(ownSchema(schema)).sql]
  return {
    sql: `json_build_object(
      'kind', split_part(paused.kind, ' ', 1), 'name', paused.name, 'key', ${KEY.sql},
      'since', paused.paused_at, 'by', paused.paused_by, 'reason', paused.reason,
      'isKnown', case split_part(paused.kind, ' ', 1)
        when 'task' then exists (select from ${engine}._private_tasks where identifier = paused.name)
          or exists (select from ${own}.definitions where name = paused.name)
        when 'queue' then exists (select from ${engine}._private_job_queues where queue_name = paused.name)
        when 'limit' then exists (select from ${own}.declared_limits limits where limits.name = 'limit ' || paused.name)
        else true
      end,
      'tasks', case when paused.kind like 'limit%' then (
        select coalesce(json_agg(definitions.name order by definitions.name), '[]') from ${own}.definitions where ${HAS_LIMIT}
      ) end
    )`
  }
}
