import type { Statement } from '../statement.ts'

/** Settings of PostgreSQL, by name. */
export type Settings = Readonly<Record<string, string>>

/**
 * Settings that each of our connections states, so that the defaults of server, database and role do not matter. None of
 * them limits how long an application waits: those settings are the application's.
 */
export const SETTINGS: Settings = {
  default_transaction_isolation: 'read committed',
  // The driver of the worker reads times as text.
  datestyle: 'ISO, MDY',
  intervalstyle: 'postgres',
  extra_float_digits: '1',
  standard_conforming_strings: 'on',
  idle_session_timeout: '0',
  // Statements of ours take milliseconds, and compiling one takes a hundred.
  jit: 'off'
}

/** The worker has time limits of its own. */
const UNLIMITED: Settings = {
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  transaction_timeout: '0'
}

/**
 * Plans are kept: to plan a fetch takes longer than to carry it out. One that was made while a table was empty would go on
 * reading all of it.
 */
export const WORKER_SETTINGS: Settings = {
  ...SETTINGS,
  ...UNLIMITED,
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off'
}

/** With all the partitions of the ledger, looking up a result takes longer to plan than to run. */
export const RESULTS_SETTINGS: Settings = { ...SETTINGS, plan_cache_mode: 'force_generic_plan' }

/** One process migrates, and others wait for it. */
export const MIGRATION_SETTINGS: Settings = { ...SETTINGS, ...UNLIMITED }

/** What {@linkcode introduceStatement} finds. */
export interface Introduction {
  /** The backend that serves the connection. */
  readonly pid: number
  /** Whether times come as ISO 8601, and a statement of its own sees what is committed. */
  readonly is_fit: boolean
}

/**
 * States settings for a session, if it is one of the server's: behind a pooler they would stay for the next client.
 * A pooler has a backend of its own invention, or else a port of its own. Those that an older server lacks are left out.
 *
 * Its parameters are the backend as the driver knows it, and the port at this end of the connection; '' if it has none.
 */
export function introduceStatement(settings: Settings): Statement {
  const stated = Object.entries(settings).map(([name, value]) => `('${name}', '${value}')`)
  return {
    text: `
    with stated as materialized (
      select count(set_config(name, value, false))
      from (values ${stated.join(', ')}) as setting (name, value)
      where current_setting(name, true) is not null
        and pg_backend_pid()::text = $1::text and coalesce(inet_client_port()::text, '') = $2::text
    )
    select
      pg_backend_pid() as pid,
      current_setting('datestyle') like 'ISO%'
        and current_setting('default_transaction_isolation') = 'read committed' as is_fit
    from stated`,
    values: []
  }
}

/** Begins a transaction that states what the worker relies on where its session may not. */
export const beginFitStatement: Statement = {
  text: `begin isolation level read committed; set local datestyle = 'ISO, MDY'`,
  values: []
}

/** Whether a new session only reads: on a standby, or because it was told so. */
export const isReadOnlyStatement: Statement = {
  text: "select current_setting('transaction_read_only') = 'on' as is_read_only",
  values: []
}
