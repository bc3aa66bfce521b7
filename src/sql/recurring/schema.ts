import { type Execute, type Fragment, identifier, statement } from '../statement.ts'

/**
 * Creates the tables of recurring jobs.
 *
 * - `recurring`: one row for each. `next_at` is the next occurrence, or `null` if none comes any more. While a job is
 *   paused, `next_at` stays, because the occurrences of an interval are counted from it.
 * - `recurring_versions`: which versions of tasks have declared recurring jobs, and since when. See `deploy.ts`.
 */
export async function createRecurring(execute: Execute, own: string): Promise<void> {
  await execute(statement`
    create table if not exists ${identifier(own)}.recurring (
      name text collate "C" primary key,
      task text not null,
      cron text,
      every_ms bigint,
      time_zone text not null,
      start_at timestamptz,
      end_at timestamptz,
      payload json not null,
      queue text,
      priority smallint,
      max_attempts smallint,
      most_missed integer not null,
      overlap text not null,
      jitter_ms bigint not null,
      next_at timestamptz,
      last_at timestamptz,
      last_job bigint,
      skips bigint not null default 0,
      skipped_at timestamptz,
      skip_reason text,
      paused_at timestamptz,
      source text,
      code json,
      changed_at timestamptz,
      removed_at timestamptz,
      orphaned_at timestamptz,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      check (num_nonnulls(cron, every_ms) = 1)
    )`)
  // Workers look for the first of these rows all the time.
  await execute(statement`
    create index if not exists recurring_next_at on ${identifier(own)}.recurring (next_at) where ${WAITS}`)
  await execute(statement`create index if not exists recurring_task on ${identifier(own)}.recurring (task, name)`)
  await execute(
    statement`create index if not exists recurring_paused on ${identifier(own)}.recurring (name) where paused_at is not null`
  )
  await execute(statement`
    create table if not exists ${identifier(own)}.recurring_versions (
      task text not null,
      fingerprint text not null,
      since timestamptz not null default clock_timestamp(),
      primary key (task, fingerprint)
    )`)
  await execute(statement`alter table ${identifier(own)}.workers add column if not exists versions text[]`)
  await execute(statement`
    alter table ${identifier(own)}.ledger add column if not exists schedule text, add column if not exists occurrence timestamptz`)
}

/** Whether a recurring job was neither removed by hand nor by a deployment whose code no longer declares it. */
export const IS_THERE: Fragment = { sql: 'removed_at is null and orphaned_at is null' }

/** Whether a row of `recurring` waits for its next occurrence. The index has the same condition. */
export const WAITS: Fragment = { sql: `next_at is not null and paused_at is null and ${IS_THERE.sql}` }
