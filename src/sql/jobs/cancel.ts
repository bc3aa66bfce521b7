import type { Cancellation } from '../../job.ts'
import { JOB_COLUMNS, KEEPS_ALL, recording } from '../ledger/record.ts'
import { CANCELLED, isCancelled } from '../names.ts'
import { type Access, type Execute, type Fragment, identifier, statement, textArray } from '../statement.ts'
import { castOf, type Target, toColumn } from './waiting.ts'

/**
 * Removes a job that no worker has, and marks a job that a worker has. The mark decides, because the notification may
 * be lost. If the worker dies, another worker sees the mark and ends the job without running it.
 *
 * A marked job has no attempts left, as with the engine's `remove_job`, for workers that do not know the mark.
 */
export async function cancelJob({ execute, schema }: Access, target: Target): Promise<Cancellation> {
  const { column, value } = toColumn(target)
  const [row] = await execute<{ removed: string; marked: string }>(statement`
    with found as (
      select id, locked_at is not null as locked
      from ${identifier(schema)}._private_jobs
      where ${column} = ${value}::text${castOf(target)}
      for update
    ), marked as (
      update ${identifier(schema)}._private_jobs job
      set
        attempts = job.max_attempts,
        flags = coalesce(job.flags, '{}') || jsonb_build_object(${CANCELLED}::text, now()),
        updated_at = now()
      from found
      where job.id = found.id and found.locked
      returning pg_notify(${CANCEL_CHANNEL}::text, json_build_object('schema', ${schema}::text, 'job', job.id::text)::text)
    ), removed as materialized (
      select job.* from found, lateral ${identifier(schema)}.complete_jobs(array[found.id]) job where not found.locked
    ), ended as (
      select ${CANCELLED_RUN} from removed job
    ), ${recording(schema, KEEPS_ALL, { mayLackPartition: true })}
    select
      (select count(*) from removed)::text as removed,
      (select count(*) from marked)::text as marked,
      (select count(*) from told)::text as told`)
  if (row?.removed === '1') return 'removed'
  return row?.marked === '1' ? 'cancelling' : 'not found'
}

/** Removes jobs that no worker has, and records that they were cancelled. The caller holds locks on the jobs. */
export async function cancelWaiting({ execute, schema }: Access, ids: readonly string[]): Promise<void> {
  await execute(statement`
    with removed as materialized (
      select job.* from ${identifier(schema)}.complete_jobs(${textArray(ids)}::text::bigint[]) job
    ), ended as (
      select ${CANCELLED_RUN} from removed job
    ), ${recording(schema, KEEPS_ALL, { mayLackPartition: true })}
    select count(*)::text from told`)
}

/** The run to record for a job, called `job`, that was cancelled while no worker had it. */
const CANCELLED_RUN: Fragment = {
  sql: `
        ${JOB_COLUMNS.sql},
        'cancelled' as run_state,
        job.attempts as run_attempt,
        null::float8 as duration,
        0 as ago,
        null::text as error,
        null::text as result,
        null::text as problem,
        null::text as payload,
        null::text as log,
        true as is_over`
}

/** Finds the cancelled jobs among these jobs. */
export async function findCancelled(execute: Execute, schema: string, ids: readonly string[]): Promise<string[]> {
  const rows = await execute<{ id: string }>(statement`
    select id::text as id from ${identifier(schema)}._private_jobs
    where id = any(${textArray(ids)}::text::bigint[]) and ${isCancelled('flags')}`)
  return rows.map(({ id }) => id)
}

/** Whether a job was cancelled before a worker fetched it, by the flags that the engine returns. */
export function isMarkedCancelled(flags: Readonly<Record<string, unknown>> | null): boolean {
  return typeof flags?.[CANCELLED] === 'string'
}

/** The channel on which {@linkcode cancelJob} announces cancelled jobs. */
export const CANCEL_CHANNEL = 'kretes:cancel'

/** The job that a notification announces, or `undefined` if the job belongs to another schema. */
export function readCancelNotice(payload: string | undefined, schema: string): string | undefined {
  try {
    const notice = JSON.parse(payload ?? '') as { schema?: unknown; job?: unknown }
    return notice.schema === schema && typeof notice.job === 'string' ? notice.job : undefined
  } catch {
    // Any client of the database may notify.
    return undefined
  }
}
