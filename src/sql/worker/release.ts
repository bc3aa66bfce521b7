import { type Connections, type Execute, identifier, statement, textArray } from '../statement.ts'
import { notifyWorkers } from './notify.ts'

/** A job that a worker holds. */
export interface LockedJob {
  readonly id: string
  /** The time at which the worker locked the job, in milliseconds since 1970. */
  readonly lockedAtMs: number
}

/**
 * Releases all jobs and queues that a worker holds, so that other workers can take them. The jobs get their attempt
 * back, because they did not fail.
 *
 * @param settle writes how runs of these jobs ended, in the same transaction and while the worker still holds the jobs.
 * Returns the ids of the jobs that it has written. These jobs need no release.
 * @returns how many jobs were released
 */
export async function releaseWorker(
  { transact }: Connections,
  schema: string,
  worker: string,
  settle?: (execute: Execute, held: readonly LockedJob[]) => Promise<readonly string[]>
): Promise<number> {
  return await transact(async execute => {
    const held = await execute<{ id: string; attempts: string; since: string }>(statement`
      select id::text as id, attempts::text as attempts, (extract(epoch from locked_at) * 1000)::text as since
      from ${identifier(schema)}._private_jobs job where locked_by = ${worker}::text order by job.id for update`)
    const jobs = held.map(({ id, since }) => ({ id, lockedAtMs: Number(since) }))
    const settled = new Set(await settle?.(execute, jobs))
    const left = held.filter(({ id }) => !settled.has(id))
    await execute(statement`select ${identifier(schema)}.force_unlock_workers(array[${worker}::text])`)
    const [released] = await execute<{ count: string }>(statement`
      select count(*)::text as count
      from json_to_recordset(${JSON.stringify(left)}::text::json) as job (id bigint, attempts int),
      lateral ${identifier(schema)}.reschedule_jobs(array[job.id], attempts => greatest(0, job.attempts - 1)) rescheduled`)
    // Jobs whose runs were interrupted wait again too.
    if (held.length > 0) await notifyWorkers(execute, held.length)
    return Number(released?.count ?? 0)
  })
}

/**
 * Releases jobs that the database locked for a worker, but that the worker does not know because the answer was lost.
 */
export async function releaseForgotten(
  execute: Execute,
  schema: string,
  worker: string,
  known: readonly string[]
): Promise<number> {
  const rows = await execute(statement`
    with forgotten as (
      update ${identifier(schema)}._private_jobs
      set locked_at = null, locked_by = null, attempts = greatest(0, attempts - 1)
      where locked_by = ${worker}::text and not (id = any(${textArray(known)}::text::bigint[]))
      returning id, job_queue_id
    ), queues as (
      update ${identifier(schema)}._private_job_queues
      set locked_at = null, locked_by = null
      from forgotten
      where _private_job_queues.id = forgotten.job_queue_id and locked_by = ${worker}::text
    )
    select id::text from forgotten`)
  if (rows.length > 0) await notifyWorkers(execute, rows.length)
  return rows.length
}
