/** What a {@linkcode Finding} is about; stable, so that a program may branch on it. */
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
  | 'failed-jobs'
  | 'failing-task'

/** Something that is wrong, and what to do about it. */
export interface Finding {
  /** What it is about. */
  readonly code: FindingCode
  /** `error`: jobs do not run as they should. `warning`: before long they may not. */
  readonly severity: 'error' | 'warning'
  /** What was found, in words. */
  readonly message: string
  /** What to do, in words or as a statement. */
  readonly remedy: string
}
