import type { ISql, PendingQuery, Row, Sql } from 'postgres'

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
export function detachPartition(sql: Sql, own: string, name: string): PendingQuery<Row[]> {
  return sql`alter table ${sql(own)}.ledger detach partition ${sql(own)}.${sql(name)} concurrently`
}

/** Brings to its end what an interrupted {@linkcode detachPartition} has begun. */
export function finishDetaching(sql: Sql, own: string, name: string): PendingQuery<Row[]> {
  return sql`alter table ${sql(own)}.ledger detach partition ${sql(own)}.${sql(name)} finalize`
}

/** Removes what was a partition. */
export function dropPartition(sql: Sql, own: string, name: string): PendingQuery<Row[]> {
  return sql`drop table if exists ${sql(own)}.${sql(name)}`
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
