import type { ISql, Sql } from 'postgres'

/** A partition of the ledger, or what was one. */
export interface Partition {
  readonly name: string
  readonly state: 'attached' | 'detaching' | 'detached'
}

/** Whether nobody else looks after this ledger; until the end of the transaction it is then this one. */
export async function lockUpkeep(sql: ISql, own: string): Promise<boolean> {
  const [row] = await sql<{ locked: boolean }[]>`
    select pg_try_advisory_xact_lock(${LOCK_CLASS}, hashtext(${own})) as locked`
  return row?.locked ?? false
}

/** The tables that hold runs, each a day's. */
export async function listPartitions(sql: ISql, own: string): Promise<Partition[]> {
  return await sql<Partition[]>`
    select
      relname as name,
      case when inhparent is null then 'detached' when inhdetachpending then 'detaching' else 'attached' end as state
    from pg_class
    left join pg_inherits on inhrelid = pg_class.oid
    where relnamespace = quote_ident(${own})::regnamespace and relkind = 'r' and relname ~ '^ledger_[0-9]{8}(_failures)?$'
    order by relname`
}

/** Takes a partition out of the ledger. It waits for those who read it, and keeps nobody waiting meanwhile. */
export async function detachPartition(sql: Sql, own: string, name: string): Promise<void> {
  await sql`alter table ${sql(own)}.ledger detach partition ${sql(own)}.${sql(name)} concurrently`
}

/** Brings to its end what an interrupted {@linkcode detachPartition} has begun. */
export async function finishDetaching(sql: Sql, own: string, name: string): Promise<void> {
  await sql`alter table ${sql(own)}.ledger detach partition ${sql(own)}.${sql(name)} finalize`
}

/** Removes what was a partition. */
export async function dropPartition(sql: Sql, own: string, name: string): Promise<void> {
  await sql`drop table if exists ${sql(own)}.${sql(name)}`
}

/** How counters are made fewer. */
export interface Folding {
  readonly unit: 'minute' | 'hour'
  readonly from: Date
  readonly to: Date
}

/**
 * Makes one row of all that count the same in the same minute, or hour. Whoever sums them up meanwhile sees either.
 *
 * @returns how many rows were folded into fewer
 */
export async function foldCounters(sql: ISql, own: string, { unit, from, to }: Folding): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    with many as (
      select date_trunc(${unit}, minute, 'UTC') as unit, duration_bucket, task, queue, state
      from ${sql(own)}.counters
      where minute >= ${from.toISOString()}::timestamptz and minute < ${to.toISOString()}::timestamptz
      group by 1, 2, 3, 4, 5
      having count(*) > 1
    ), gone as (
      delete from ${sql(own)}.counters counter
      using many
      where counter.minute >= ${from.toISOString()}::timestamptz and counter.minute < ${to.toISOString()}::timestamptz
        and date_trunc(${unit}, counter.minute, 'UTC') = many.unit
        and counter.duration_bucket = many.duration_bucket
        and counter.task = many.task
        and counter.queue is not distinct from many.queue
        and counter.state = many.state
      returning counter.*
    ), folded as (
      insert into ${sql(own)}.counters (minute, runs, duration_bucket, task, queue, state, waiting_ms, running_ms)
      select
        date_trunc(${unit}, minute, 'UTC'), sum(runs), duration_bucket, task, queue, state, sum(waiting_ms), sum(running_ms)
      from gone
      group by 1, 3, 4, 5, 6
    )
    select count(*)::int from gone`
  return row?.count ?? 0
}

/** Forgets what was counted before a time. */
export async function removeCounters(sql: ISql, own: string, before: Date): Promise<void> {
  await sql`delete from ${sql(own)}.counters where minute < ${before.toISOString()}::timestamptz`
}

/** Removes those who wait no longer, and the progress of jobs that no longer run. */
export async function removeStale(sql: ISql, own: string, schema: string): Promise<void> {
  await sql`delete from ${sql(own)}.waiters where expires_at < now()`
  await sql`
    delete from ${sql(own)}.progress
    where updated_at < now() - interval '1 minute' and not exists (
      select from ${sql(schema)}._private_jobs job where job.id = progress.job_id and job.locked_at is not null
    )`
}

/** "kreu", beside the other locks. */
const LOCK_CLASS = 0x6b726575
