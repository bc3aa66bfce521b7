/** The kind of a {@linkcode Finding}. Codes are stable, so your program can branch on them. */
export type FindingCode =
  | 'unreachable'
  | 'postgres-version'
  | 'read-only'
  | 'clock-skew'
  | 'pooler'
  | 'listen'
  | 'schema-newer'
  | 'migrations-missing'
  | 'schema-incomplete'
  | 'privileges'
  | 'search-path'
  | 'autovacuum-off'
  | 'bloat'
  | 'old-transaction'
  | 'replication-slot'
  | 'prepared-transaction'
  | 'no-partition'
  | 'ledger-retention'
  | 'ledger-size'
  | 'no-worker'
  | 'lost-workers'
  | 'unknown-tasks'
  | 'not-taken'
  | 'long-pause'
  | 'limit-starves'
  | 'lost-slots'
  | 'recurring-unknown-task'
  | 'recurring-late'
  | 'failed-jobs'
  | 'failing-task'

/** A problem, and its remedy. */
export interface Finding {
  /** The kind of problem. */
  readonly code: FindingCode
  /** `error`: jobs do not run as they should. `warning`: soon they may not. */
  readonly severity: 'error' | 'warning'
  /** The problem. */
  readonly message: string
  /** The remedy, in words or as a statement. */
  readonly remedy: string
}

/** A finding that keeps jobs from running as they should. */
export function problem(code: FindingCode, message: string, remedy: string): Finding {
  return { code, severity: 'error', message, remedy }
}

/** A finding that may soon become a problem. */
export function warning(code: FindingCode, message: string, remedy: string): Finding {
  return { code, severity: 'warning', message, remedy }
}
