/**
 * Background processing for TypeScript on the PostgreSQL you already have.
 *
 * A task is a function in a file of its own under `tasks/`. Your application schedules jobs; `kretes background` runs them.
 *
 * @example Schedule a job
 * ```ts
 * import { Background } from 'kretes'
 *
 * const job = await Background.schedule({ task: 'SendEmail', payload: { to: 'admin@example.com' } })
 * console.log(job.id)
 * ```
 *
 * @module
 */
export { createBackground } from './src/background.ts'
export type { Backoff, ExponentialBackoff, FixedBackoff } from './src/backoff.ts'
export type { BackgroundClient, BackgroundOptions, TransactionScheduler } from './src/client.ts'
export type { RecurringDeclaration, TaskRecurrence } from './src/cron/declaration.ts'
export type { Occurrence } from './src/cron/preview.ts'
export type { Recurrence } from './src/cron/recurrence.ts'
export type { MigrationReport } from './src/database/migrate.ts'
export { Background, type DefaultBackground } from './src/default.ts'
export type { Monitoring } from './src/diagnose/diagnose.ts'
export type { Finding, FindingCode } from './src/diagnose/doctor/finding.ts'
export type { Diagnosis } from './src/diagnose/doctor.ts'
export type { Percentiles } from './src/diagnose/percentiles.ts'
export type { Reason, ReasonCode } from './src/diagnose/reason.ts'
export type {
  Figures,
  QueueStatus,
  RecurringStatus,
  Status,
  StatusOptions,
  TaskStatus,
  WorkerStatus
} from './src/diagnose/status.ts'
export type { Why, WhyJob } from './src/diagnose/why.ts'
export type { Duration, DurationUnits } from './src/duration.ts'
export type { ForeignTransaction } from './src/enqueue/adapters.ts'
export { BackgroundError, type BackgroundErrorCode, PermanentError, Snooze } from './src/errors.ts'
export type { LimitChange, LimitControl, LimitSettings, LimitState, LimitTarget } from './src/flow/limits.ts'
export type { Pause, PauseOptions, PauseTarget, Pausing } from './src/flow/pauses.ts'
export type * from './src/job.ts'
export type { JsonOf } from './src/json.ts'
export type { PruneOptions, PruneReport } from './src/ledger/prune.ts'
export {
  type AnyLimit,
  Limit,
  type LimitKey,
  type LimitNumbers,
  type LimitOptions,
  type Limits,
  type TaskLimits
} from './src/limit/limit.ts'
export { RateLimited, type RateLimitedOptions } from './src/limit/rate-limited.ts'
export type { TaskVersion } from './src/limit/version.ts'
export type { LogFields, Logger } from './src/logger.ts'
export type { BulkOptions, BulkResult } from './src/manage/bulk.ts'
export type { Cancel } from './src/manage/cancel.ts'
export type { JobFilter, PageOptions, RunFilter } from './src/manage/filter.ts'
export type { JobDetails, JobsPage } from './src/manage/jobs.ts'
export type { JobAdmin } from './src/manage/manage.ts'
export type { RunsPage } from './src/manage/runs.ts'
export type { BulkFilter, JobSelection } from './src/manage/selection.ts'
export { Queue, type QueueOptions } from './src/queue.ts'
export type { RecurringJob, RecurringPage } from './src/recurring/entry.ts'
export type { RecurringOptions } from './src/recurring/options.ts'
export type { RecurringFilter, RecurringJobs } from './src/recurring/recurring.ts'
export type { JobReference } from './src/reference.ts'
export type { Rate } from './src/rules/rates.ts'
export type { Keep } from './src/rules/retention.ts'
export type { JobState, RunState } from './src/rules/states.ts'
export type * from './src/run.ts'
export type * from './src/schedule.ts'
export type { SchemaIssue, SchemaResult, StandardSchema } from './src/schema.ts'
export {
  type AnyPayload,
  type AnyTask,
  type DefinedTask,
  defineTask,
  type RunOptions,
  type SchemaTaskDefinition,
  type Task,
  type TaskContext,
  type TaskDefinition
} from './src/task.ts'
