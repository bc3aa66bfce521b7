import { ownSchema } from '../names.ts'
import { type Execute, identifier, type Statement, statement } from '../statement.ts'

/** The result of a beat. */
export interface Beat {
  /** Whether the worker is still registered. If not, another worker has declared it dead and has released its jobs. */
  readonly isRegistered: boolean
  /**
   * Whether the session holds the worker's lock now. It does not while an earlier session of the worker holds the lock
   * and is about to end.
   */
  readonly isLocked: boolean
  /** The ids of workers whose last beat is old. They are dead if their locks are free. */
  readonly stale: readonly string[]
}

/**
 * Shows that a worker is alive: writes the time, and ensures that this session holds the worker's lock. Keepalives let
 * the server notice a dead client within half a minute. Otherwise the lock would outlive a broken network.
 */
export async function beat(execute: Execute, schema: string, id: string, stale: StaleAfter): Promise<Beat> {
  const [row] = await execute<{ lock: string | null; held: string; stale: string | null }>(statement`
    with beat as (
      update ${identifier(ownSchema(schema))}.workers
      set beat_at = now(), holds_lock = exists (
        select from pg_locks
        where locktype = 'advisory' and pid = pg_backend_pid() and classid = ${lockClass(schema)}::text::oid and objid = lock_id::oid
      )
      where id = ${id}::text
      returning lock_id, holds_lock
    )
    select
      (select lock_id::text from beat) as lock,
      (select holds_lock::text from beat) as held,
      (
        select string_agg(id, ',') from ${identifier(ownSchema(schema))}.workers
        where ${isStale(stale)} and id <> ${id}::text
      ) as stale`)
  if (!row || row.lock === null) return { isRegistered: false, isLocked: false, stale: [] }
  let isLocked = row.held === 'true'
  if (!isLocked) {
    // After a connection has hung, its session may still hold the lock on the server. Until that session ends, the new
    // session cannot take the lock.
    await execute(statement`
      select pg_terminate_backend(pid)
      from pg_locks join pg_stat_activity using (pid)
      where locktype = 'advisory' and classid = ${lockClass(schema)}::text::oid and objid = ${row.lock}::text::oid and granted
        and database = (select oid from pg_database where datname = current_database())
        and application_name = current_setting('application_name')`)
    const [taken] = await execute<{ locked: string }>(statement`
      select
        pg_try_advisory_lock(${lockClass(schema)}::text::int, ${row.lock}::text::int)::text as locked,
        set_config('tcp_keepalives_idle', '10', false),
        set_config('tcp_keepalives_interval', '5', false),
        set_config('tcp_keepalives_count', '3', false),
        set_config('idle_session_timeout', '0', false)`)
    isLocked = taken?.locked === 'true'
  }
  return { isRegistered: true, isLocked, stale: row.stale?.split(',') ?? [] }
}

/** How long a worker may be silent, in milliseconds, before others check whether its lock is free. */
export interface StaleAfter {
  readonly staleAfterMs: number
  /** The same for a worker that had its lock at its last beat: if the lock is free now, the session has ended. */
  readonly lostAfterMs: number
}

/** An SQL condition: whether the last beat of a worker is old. */
export function isStale({ staleAfterMs, lostAfterMs }: StaleAfter): Statement {
  return statement`beat_at < now() - case when holds_lock then ${lostAfterMs}::text::float8 else ${staleAfterMs}::text::float8 end * interval '1 millisecond'`
}

/** The class of the advisory locks of a schema's workers. Lock ids are unique only within a schema. */
export function lockClass(schema: string): number {
  if (schema === 'graphile_worker') return LOCK_CLASS
  let sum = LOCK_CLASS
  for (const letter of schema) sum = (Math.imul(sum, 31) + letter.charCodeAt(0)) | 0
  return sum >>> 1
}

/** "kret" in ASCII. */
const LOCK_CLASS = 0x6b726574
