import type { ISql, Sql, TransactionSql } from 'postgres'
import type { Statement } from './statement.ts'

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

/** Which of these backends carry out a statement now. */
export async function workingBackends(sql: Sql, backends: readonly number[]): Promise<number[]> {
  const rows = await sql<{ pid: number }[]>`
    select pid from pg_stat_activity where pid in ${sql([...backends])} and state = 'active'`
  return rows.map(({ pid }) => pid)
}

/**
 * Lets go of every job and queue that a worker holds, for others to take. Its jobs get their attempt back: they did
 * not fail.
 *
 * @param before what else is to be done in the same transaction, while the worker still holds them
 */
export async function releaseWorker(
  sql: Sql,
  schema: string,
  worker: string,
  before?: (transaction: TransactionSql) => Promise<void>
): Promise<number> {
  return await sql.begin(async transaction => {
    await before?.(transaction)
    const held = await transaction<{ id: string; attempts: number }[]>`
      select id, attempts from ${sql(schema)}._private_jobs where locked_by = ${worker} for update`
    await transaction`select ${sql(schema)}.force_unlock_workers(array[${worker}]::text[])`
    for (const { id, attempts } of held) {
      await transaction`
        select from ${sql(schema)}.reschedule_jobs(array[${id}]::bigint[], attempts => ${Math.max(0, attempts - 1)}::int)`
    }
    if (held.length > 0) await notifyWorkers(transaction, held.length)
    return held.length
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

/** Prepares a connection of the engine's, and says which backend serves it. */
export const introduceStatement: Statement = {
  text: "select pg_backend_pid() as pid, set_config('enable_seqscan', 'off', false)",
  values: []
}
