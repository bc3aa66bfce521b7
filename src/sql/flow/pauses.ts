import { ownSchema } from '../names.ts'
import { type Access, type Execute, type Fragment, identifier, statement } from '../statement.ts'
import { notifyWorkers } from '../worker/notify.ts'

/** What a pause holds back. The name of everything is empty. */
export interface Target {
  readonly kind: 'all' | 'task' | 'queue'
  readonly name: string
}

/** A row of the table of pauses, as JSON. */
export interface PauseRow extends Target {
  readonly since: string
  readonly by: string
  readonly reason: string | null
  readonly isKnown: boolean
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

/** Creates the view of the pauses. */
export async function createPausesView(execute: Execute, own: string): Promise<void> {
  await execute(statement`
    create view ${identifier(own)}.pauses as
    select kind, nullif(name, '') as name, paused_at, paused_by, reason from ${identifier(own)}.paused`)
}

/** Pauses a target. If it is paused already, only the reason and the person change. */
export async function pause(
  { execute, schema }: Access,
  { kind, name }: Target,
  { by, reason }: { readonly by: string | null; readonly reason: string | null }
): Promise<PauseRow> {
  const [row] = await execute<{ pause: string }>(statement`
    insert into ${tableIn(schema)} as paused (kind, name, paused_by, reason)
    values (${kind}::text, ${name}::text, coalesce(${by}::text, session_user), ${reason}::text)
    on conflict (kind, name) do update set paused_by = excluded.paused_by, reason = excluded.reason
    returning ${toJson(schema)}::text as pause`)
  return JSON.parse(row!.pause)
}

/** Ends a pause, and tells the workers. Returns the pause, or `undefined` if there was none. */
export async function resume({ execute, schema }: Access, { kind, name }: Target): Promise<PauseRow | undefined> {
  const [row] = await execute<{ pause: string }>(statement`
    delete from ${tableIn(schema)} paused where kind = ${kind}::text and name = ${name}::text
    returning ${toJson(schema)}::text as pause`)
  if (row) await notifyWorkers(execute, 1)
  return row && JSON.parse(row.pause)
}

/** Lists the pauses, the oldest first. */
export async function listPauses({ execute, schema }: Access): Promise<readonly PauseRow[]> {
  const [row] = await execute<{ pauses: string }>(statement`
    select coalesce(json_agg(${toJson(schema)} order by paused_at, kind, name), '[]')::text as pauses from ${tableIn(schema)} paused`)
  return JSON.parse(row!.pauses)
}

/** An SQL condition: whether neither a task nor everything is paused. */
export function isRunnable(schema: string, task: string): Fragment {
  return {
    sql: `not exists (
        select from ${tableIn(schema).sql} paused where paused.kind = 'all' or (paused.kind = 'task' and paused.name = ${task})
      )`
  }
}

/** A query for the names of the paused queues. */
export function pausedQueues(schema: string): Fragment {
  return { sql: `select name from ${tableIn(schema).sql} where kind = 'queue'` }
}

function tableIn(schema: string): Fragment {
  return { sql: `${identifier(ownSchema(schema)).sql}.paused` }
}

/** A row of the table `paused` as JSON. */
function toJson(schema: string): Fragment {
  const [engine, own] = [identifier(schema).sql, identifier(ownSchema(schema)).sql]
  return {
    sql: `json_build_object(
      'kind', paused.kind, 'name', paused.name, 'since', paused.paused_at, 'by', paused.paused_by, 'reason', paused.reason,
      'isKnown', case paused.kind
        when 'task' then exists (select from ${engine}._private_tasks where identifier = paused.name)
          or exists (select from ${own}.definitions where name = paused.name)
        when 'queue' then exists (select from ${engine}._private_job_queues where queue_name = paused.name)
        else true
      end
    )`
  }
}
