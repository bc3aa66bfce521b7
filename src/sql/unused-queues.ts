import type { ISql } from 'postgres'

/** How many named queues the engine knows, whether they have jobs or not. */
export async function countQueues(sql: ISql, schema: string): Promise<number> {
  const [row] = await sql<{ count: number }[]>`select count(*)::int from ${sql(schema)}._private_job_queues`
  return row?.count ?? 0
}

/**
 * Keeps others from using queues until the end of the transaction, if that is to be had at once.
 *
 * What schedules on a queue without a job would else put its job on a queue that is gone, and nobody would ever fetch it.
 * A transaction that has a snapshot from before would find the queue both gone and there; such ones are idle now and
 * then, and are seen by that.
 *
 * @returns whether nobody stands in the way
 * @throws if somebody uses queues at this moment
 */
export async function lockQueues(sql: ISql, schema: string): Promise<boolean> {
  await sql`select set_config('lock_timeout', '100ms', true), set_config('statement_timeout', '2s', true)`
  await sql`lock table ${sql(schema)}._private_job_queues in share row exclusive mode`
  const [row] = await sql<{ free: boolean }[]>`
    select not exists (
      select from pg_stat_activity
      where datname = current_database() and state = 'idle in transaction' and backend_xmin is not null
    ) as free`
  return row?.free ?? false
}

/** Forgets queues that have no job and that no worker holds, at most so many, and returns how many. */
export async function removeUnusedQueues(sql: ISql, schema: string, most: number): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    with gone as (
      delete from ${sql(schema)}._private_job_queues
      where id in (
        select id from ${sql(schema)}._private_job_queues queue
        where locked_at is null
          and not exists (select from ${sql(schema)}._private_jobs job where job.job_queue_id = queue.id)
        limit ${most}::int
      )
      returning id
    )
    select count(*)::int from gone`
  return row?.count ?? 0
}
