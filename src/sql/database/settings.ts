import { type Execute, type Statement, statement } from '../statement.ts'

/** Settings of PostgreSQL, by name. */
export type Settings = Readonly<Record<string, string>>

/**
 * Settings for each of our connections. They override the defaults of the server, the database and the role. None of
 * them limits how long an application waits: the application chooses those limits.
 */
export const SETTINGS: Settings = {
  default_transaction_isolation: 'read committed',
  // The worker's driver reads times as text.
  datestyle: 'ISO, MDY',
  intervalstyle: 'postgres',
  extra_float_digits: '1',
  standard_conforming_strings: 'on',
  idle_session_timeout: '0',
  // Our statements take milliseconds, and compiling one takes a hundred milliseconds.
  jit: 'off'
}

/** The worker has its own time limits. */
const UNLIMITED: Settings = {
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  transaction_timeout: '0'
}

/**
 * The server keeps generic plans, because planning a fetch takes longer than running it. Sequential scans are off:
 * otherwise a plan made for an empty table would scan the whole table later.
 */
export const WORKER_SETTINGS: Settings = {
  ...SETTINGS,
  ...UNLIMITED,
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off'
}

/** The ledger has many partitions, so planning a lookup of a result takes longer than running it. */
export const RESULTS_SETTINGS: Settings = { ...SETTINGS, plan_cache_mode: 'force_generic_plan' }

/** Without time limits: one process migrates, and other processes wait for it. */
export const MIGRATION_SETTINGS: Settings = { ...SETTINGS, ...UNLIMITED }

/** The row of {@linkcode introduceStatement}. */
export interface Introduction {
  /** The process id of the backend that serves the connection. */
  readonly pid: number
  /** Whether times have the format ISO 8601, and each statement sees all that was committed before it. */
  readonly is_fit: boolean
}

/**
 * Applies settings to a session, but only if the connection leads straight to the server. A pooler would keep the
 * settings for its next client. Behind a pooler, the process id of the backend differs from the one that the driver
 * knows, or the client's port differs. Settings that an older server does not know are skipped.
 *
 * The statement has two parameters: the process id of the backend that the driver knows, and the local port of the
 * connection, or '' if there is none.
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

/** Begins a transaction with the settings that the worker needs, for sessions that may lack them. */
export const beginFitStatement: Statement = {
  text: `begin isolation level read committed; set local datestyle = 'ISO, MDY'`,
  values: []
}

/** Whether a new session is read-only: on a standby, or by a setting. */
export const isReadOnlyStatement: Statement = {
  text: "select current_setting('transaction_read_only') = 'on' as is_read_only",
  values: []
}

/** The encoding of the database. */
export async function readEncoding(execute: Execute): Promise<string> {
  const [row] = await execute<{ encoding: string }>(statement`select current_setting('server_encoding') as encoding`)
  return row?.encoding ?? 'UTF8'
}
