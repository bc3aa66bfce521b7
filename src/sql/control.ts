import type { ISql, Sql } from 'postgres'

/** Tells every worker's fetch that jobs wait, by the notification that `add_job` sends. */
export async function notifyWorkers(sql: ISql, count: number): Promise<void> {
  await sql`select pg_notify('jobs:insert', json_build_object('count', ${count}::int)::text)`
}

/**
 * Whether a job is due that one of these tasks would run and that neither somebody else's run nor somebody else's queue
 * holds back.
 */
export async function hasDueJobs(sql: Sql, schema: string, tasks: readonly string[], worker: string): Promise<boolean> {
  const [row] = await sql<{ due: boolean }[]>`
    select exists (
      select from ${sql(schema)}.jobs
      left join ${sql(schema)}._private_job_queues queues using (queue_name)
      where task_identifier in ${sql([...tasks])}
        and run_at <= now()
        and attempts < max_attempts
        and jobs.locked_at is null
        and (queues.locked_by is null or queues.locked_by = ${worker})
    ) as due`
  return row?.due ?? false
}

/** The encoding of the database. */
export async function readEncoding(sql: Sql): Promise<string> {
  const [row] = await sql<{ encoding: string }[]>`select current_setting('server_encoding') as encoding`
  return row?.encoding ?? 'UTF8'
}

/** Which of these backends carry out a statement now. */
export async function workingBackends(sql: Sql, backends: readonly number[]): Promise<number[]> {
  const rows = await sql<{ pid: number }[]>`
    select pid from pg_stat_activity where pid in ${sql([...backends])} and state = 'active'`
  return rows.map(({ pid }) => pid)
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
  sql: Sql,
  schema: string,
  worker: string,
  settle?: (transaction: Sql, held: readonly LockedJob[]) => Promise<readonly string[]>
): Promise<number> {
  return await sql.begin(async transaction => {
    const held = await transaction<{ id: string; attempts: number; locked_at_ms: string }[]>`
      select id, attempts, (extract(epoch from locked_at) * 1000)::text as locked_at_ms
      from ${sql(schema)}._private_jobs where locked_by = ${worker} order by id for update`
    const jobs = held.map(({ id, locked_at_ms }) => ({ id, lockedAtMs: Number(locked_at_ms) }))
    const settled = new Set(await settle?.(transaction as unknown as Sql, jobs))
    const left = held.filter(({ id }) => !settled.has(id))
    await transaction`select ${sql(schema)}.force_unlock_workers(array[${worker}]::text[])`
    const [putBack] = await transaction<{ count: number }[]>`
      select count(*)::int as count
      from json_to_recordset(${JSON.stringify(left)}::text::json) as job (id bigint, attempts int),
      lateral ${sql(schema)}.reschedule_jobs(array[job.id], attempts => greatest(0, job.attempts - 1)) rescheduled`
    // Runs that were broken off wait again, too.
    if (held.length > 0) await notifyWorkers(transaction, held.length)
    return putBack?.count ?? 0
  })
}

/** Lets go of jobs that the database locked for a worker which never got to know of them: the answer was lost. */
export async function releaseForgotten(
  sql: Sql,
  schema: string,
  worker: string,
  known: readonly string[]
): Promise<number> {
  const rows = await sql`
    with forgotten as (
      update ${sql(schema)}._private_jobs
      set locked_at = null, locked_by = null, attempts = greatest(0, attempts - 1)
      where locked_by = ${worker} and not (id = any(string_to_array(${known.join(',')}, ',')::bigint[]))
      returning id, job_queue_id
    ), queues as (
      update ${sql(schema)}._private_job_queues
      set locked_at = null, locked_by = null
      from forgotten
      where _private_job_queues.id = forgotten.job_queue_id and locked_by = ${worker}
    )
    select id from forgotten`
  if (rows.length > 0) await notifyWorkers(sql, rows.length)
  return rows.length
}
