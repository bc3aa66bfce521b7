import type { Job } from '../../job.ts'
import { WHILE_FREE } from '../ledger/state.ts'
import { occurrenceOf } from '../names.ts'
import { type Access, type Fragment, identifier, type Statement, statement } from '../statement.ts'
import { ADDED, type AddedRow, toJob } from './added.ts'

/** The id of a job, a bigint as text, or the key of a job. */
export type Target = { readonly id: string } | { readonly key: string }

/** New values. `null` leaves a value unchanged. */
export interface Changes {
  readonly runAt: string | null
  readonly delayMs: number | null
  readonly priority: number | null
  readonly maxAttempts: number | null
}

/**
 * Removes a job that no worker has. Uses the engine's `complete_jobs`, because `remove_job` would spoil a running job.
 */
export async function removeWaiting(access: Access, target: Target): Promise<Job | undefined> {
  const { column, value } = toColumn(target)
  return await change(
    access,
    statement`
      select ${ADDED}, ${ORIGIN}
      from ${identifier(access.schema)}.jobs waiting, lateral ${identifier(access.schema)}.complete_jobs(array[waiting.id]) job
      where waiting.locked_at is null and waiting.${column} = ${value}::text${castOf(target)}`
  )
}

/**
 * Changes a job that no worker has and that has not failed for good. Notifies workers of the new time: otherwise they
 * would only find the job at their next poll.
 */
export async function changeWaiting(
  access: Access,
  target: Target,
  { runAt, delayMs, priority, maxAttempts }: Changes
): Promise<Job | undefined> {
  const { column, value } = toColumn(target)
  return await change(
    access,
    statement`
      select ${ADDED}, ${ORIGIN}, pg_notify('jobs:insert', '{"count":1}')::text
      from ${identifier(access.schema)}.jobs waiting, lateral ${identifier(access.schema)}.reschedule_jobs(
        array[waiting.id],
        run_at => coalesce(${runAt}::text::timestamptz, statement_timestamp() + ${delayMs}::text::float8 * interval '1 millisecond'),
        priority => ${priority}::text::int,
        max_attempts => ${maxAttempts}::text::int
      ) job
      where waiting.locked_at is null and waiting.attempts < waiting.max_attempts and waiting.${column} = ${value}::text${castOf(target)}`
  )
}

/**
 * The reason why a job cannot be changed: a worker has it, or it has failed for good. `none` if there is no reason, and
 * `undefined` if there is no job.
 */
export async function findObstacle(access: Access, target: Target): Promise<'running' | 'failed' | 'none' | undefined> {
  const { column, value } = toColumn(target)
  const [row] = await access.execute<{ obstacle: 'running' | 'failed' | 'none' }>(statement`
    select case
      when locked_at is not null then 'running'
      when ${{ sql: WHILE_FREE.failed }} then 'failed'
      else 'none'
    end as obstacle
    from ${identifier(access.schema)}.jobs job
    where ${column} = ${value}::text${castOf(target)}`)
  return row?.obstacle
}

/** The id of an existing job. */
export async function findId(access: Access, target: Target): Promise<string | undefined> {
  const { column, value } = toColumn(target)
  const [row] = await access.execute<{ id: string }>(statement`
    select id::text as id from ${identifier(access.schema)}.jobs where ${column} = ${value}::text${castOf(target)}`)
  return row?.id
}

/** Whether the engine's schema has reached a version. Throws if the schema is missing. */
export async function isSchemaAt(access: Access, version: number): Promise<boolean> {
  const rows = await access.execute(statement`
    select from ${identifier(access.schema)}.migrations where id >= ${version}::text::int limit 1`)
  return rows.length > 0
}

const ORIGIN: Fragment = {
  sql: 'waiting.task_identifier as task, waiting.queue_name as queue, waiting.flags::text as flags'
}

interface WaitingRow extends AddedRow {
  readonly task: string
  readonly queue: string | null
  readonly flags: string | null
}

async function change(access: Access, changing: Statement): Promise<Job | undefined> {
  const [row] = await access.execute<WaitingRow>(changing)
  const job = row && toJob(row, row)
  return job && { ...job, ...occurrenceOf(row.flags === null ? null : JSON.parse(row.flags)) }
}

/** The column that identifies the job, and its value. */
export function toColumn(target: Target): { column: Fragment; value: string } {
  return 'id' in target
    ? { column: identifier('id'), value: target.id }
    : { column: identifier('key'), value: target.key }
}

/** The cast of that value. */
export function castOf(target: Target): Fragment {
  return { sql: 'id' in target ? '::bigint' : '' }
}
