import { type Connections, type Execute, identifier, statement, textArray } from '../statement.ts'

/** Tells every worker's fetch that jobs wait, by the notification that `add_job` sends. */
export async function notifyWorkers(execute: Execute, count: number): Promise<void> {
  await execute(statement`select pg_notify('jobs:insert', json_build_object('count', ${count}::text::int)::text)`)
}

/**
 * Whether a job of these tasks is due that no other worker runs, and whose queue no other worker holds.
 */
export async function hasDueJobs(
  execute: Execute,
  schema: string,
  tasks: readonly string[],
  worker: string
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
    ) as due`)
  return row?.due ?? false
}

/** The encoding of the database. */
export async function readEncoding(execute: Execute): Promise<string> {
  const [row] = await execute<{ encoding: string }>(statement`select current_setting('server_encoding') as encoding`)
  return row?.encoding ?? 'UTF8'
}

/** A job that a worker holds. */
export interface LockedJob {
  readonly id: string
  /** When its lock was taken, in milliseconds since 1970. */
  readonly lockedAtMs: number
}

/**
 * Lets go of every job and queue that a worker holds, for others to take. Its jobs get their attempt back: they did
 * not fail.
 *
 * @param settle writes, in the same transaction and while the worker still holds them, how runs of these jobs ended;
 * returns the jobs that it has written, of which nothing is left to release
 * @returns how many were put back
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
    const [putBack] = await execute<{ count: string }>(statement`
      select count(*)::text as count
      from json_to_recordset(${JSON.stringify(left)}::text::json) as job (id bigint, attempts int),
      lateral ${identifier(schema)}.reschedule_jobs(array[job.id], attempts => greatest(0, job.attempts - 1)) rescheduled`)
    // Runs that were broken off wait again, too.
    if (held.length > 0) await notifyWorkers(execute, held.length)
    return Number(putBack?.count ?? 0)
  })
}

/** Lets go of jobs that the database locked for a worker which never got to know of them: the answer was lost. */
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
