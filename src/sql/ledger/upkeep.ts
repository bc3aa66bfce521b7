import { type Execute, type Fragment, identifier, statement } from '../statement.ts'

/** A partition of the ledger, or a table that was a partition. */
export interface Partition {
  readonly name: string
  readonly state: 'attached' | 'detaching' | 'detached'
}

/**
 * Tries to lock the upkeep of this ledger until the end of the transaction. Returns false if the upkeep is already
 * locked.
 */
export async function lockUpkeep(execute: Execute, own: string): Promise<boolean> {
  const [row] = await execute<{ locked: string }>(statement`
    select pg_try_advisory_xact_lock(${LOCK_CLASS}::text::int, hashtext(${own}::text))::text as locked`)
  return row?.locked === 'true'
}

/** Lists the tables that hold runs. Each table belongs to one day. */
export async function listPartitions(execute: Execute, own: string): Promise<readonly Partition[]> {
  return await execute<Partition>(statement`
    select
      relname as name,
      case when inhparent is null then 'detached' when inhdetachpending then 'detaching' else 'attached' end as state
    from pg_class
    left join pg_inherits on inhrelid = pg_class.oid
    where relnamespace = quote_ident(${own}::text)::regnamespace and relkind = 'r' and relname ~ '^ledger_[0-9]{8}(_failures)?$'
    order by relname`)
}

/**
 * Detaches a partition from the ledger. Waits for statements that read the partition, and blocks no other statement.
 */
export async function detachPartition(execute: Execute, own: string, name: string): Promise<void> {
  await execute(statement`alter table ${identifier(own)}.ledger detach partition ${tableIn(own, name)} concurrently`)
}

/** Completes an interrupted {@linkcode detachPartition}. */
export async function finishDetaching(execute: Execute, own: string, name: string): Promise<void> {
  await execute(statement`alter table ${identifier(own)}.ledger detach partition ${tableIn(own, name)} finalize`)
}

/** Drops a table that was a partition. */
export async function dropPartition(execute: Execute, own: string, name: string): Promise<void> {
  await execute(statement`drop table if exists ${tableIn(own, name)}`)
}

/** Removes expired listeners, and the progress of jobs that no longer run. */
export async function removeStale(execute: Execute, own: string, schema: string): Promise<void> {
  await execute(statement`delete from ${identifier(own)}.waiters where expires_at < now()`)
  await execute(statement`
    delete from ${identifier(own)}.progress
    where updated_at < now() - interval '1 minute' and not exists (
      select from ${identifier(schema)}._private_jobs job where job.id = progress.job_id and job.locked_at is not null
    )`)
}

function tableIn(own: string, name: string): Fragment {
  return { sql: `${identifier(own).sql}.${identifier(name).sql}` }
}

/** "kreu" in ASCII, one more than the class of the other locks. */
const LOCK_CLASS = 0x6b726575
