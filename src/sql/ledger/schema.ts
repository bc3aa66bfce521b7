import { ENDING_STATES, FAILURE_STATES } from '../../rules/states.ts'
import { type Execute, identifier, statement } from '../statement.ts'
import { readClock } from '../times.ts'
import { createPartitions, dayOf } from './partitions.ts'

/**
 * Creates the tables of the ledger in our own schema. The views are public. Only the worker and the pruning know these
 * tables.
 *
 * - `ledger`: one row for each run, in partitions by day. Failures have partitions of their own, because they are kept
 *   longer.
 * - `counters`: sums of runs by minute, task, state and duration. Rows are added in the transaction of the runs that
 *   they count, and are later folded into fewer rows. The total is always exact. See `counters.ts`.
 * - `waiters`: unlogged, because its rows are useless after a crash of the server.
 * - `progress`: its rows are useless after a crash too, but a later migration makes the table logged, because the view
 *   of jobs shows it on replicas too.
 */
export async function createLedger(execute: Execute, own: string): Promise<void> {
  await execute(
    statement`alter table ${identifier(own)}.workers add column tasks text[], add column running bigint[] not null default '{}'`
  )
  await execute(statement`
    create table ${identifier(own)}.ledger (
      job_id bigint not null,
      finished_at timestamptz not null,
      started_at timestamptz,
      ready_at timestamptz not null,
      scheduled_at timestamptz not null,
      attempt smallint not null,
      max_attempts smallint not null,
      priority smallint not null,
      is_failure boolean not null,
      state text not null,
      task text not null,
      queue text,
      key text,
      worker text,
      trace_id text,
      error json,
      result json,
      payload json,
      log json
    ) partition by range (is_failure, finished_at)`)
  await execute(statement`create index on ${identifier(own)}.ledger (job_id)`)
  // For each filter of a list of runs, these indexes find the newest runs: see `findRuns`.
  await execute(statement`create index on ${identifier(own)}.ledger (task, state, finished_at)`)
  await execute(
    statement`create index on ${identifier(own)}.ledger (queue, task, state, finished_at) where queue is not null`
  )
  await execute(statement`
    create table ${identifier(own)}.counters (
      minute timestamptz not null,
      runs integer not null,
      duration_bucket smallint not null,
      task text not null,
      queue text,
      state text not null,
      waiting_ms double precision not null,
      running_ms double precision not null
    )`)
  await execute(statement`create index on ${identifier(own)}.counters (minute)`)
  await execute(statement`
    create unlogged table ${identifier(own)}.progress (
      job_id bigint primary key,
      attempt smallint not null,
      progress real,
      message text,
      log json,
      updated_at timestamptz not null
    )`)
  await execute(statement`
    create unlogged table ${identifier(own)}.waiters (
      job_id bigint not null,
      listener text not null,
      expires_at timestamptz not null,
      primary key (job_id, listener)
    )`)
  const today = dayOf(await readClock(execute))
  await createPartitions(execute, own, { from: today - 1, to: today + DAYS_AHEAD })
}

/** The number of days, from today on, that have partitions. */
export const DAYS_AHEAD = 7

/**
 * Whether a run of the ledger ended its job. Only this expression shows how a job ended: the ledger may not keep a
 * later run, or may have removed it.
 */
export const IS_OVER: string = `coalesce(is_over, state in (${listed(ENDING_STATES)}))`

/** Whether a run of the ledger is a failure, by its state. */
export const IS_FAILURE: string = `state in (${listed(FAILURE_STATES)})`

/** The number of duration buckets for each doubling. With this number, a percentile is exact to a tenth. */
export const BUCKETS_PER_DOUBLING = 8

function listed(states: readonly string[]): string {
  return states.map(state => `'${state}'`).join(', ')
}
