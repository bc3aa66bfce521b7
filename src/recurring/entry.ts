import type { EntryRow } from '../sql/recurring/row.ts'

/** A recurring job. It schedules a job for each of its occurrences. */
export interface RecurringJob {
  /** The name that identifies it. */
  readonly name: string
  /** The name of the task. */
  readonly task: string
  /** The cron expression, or `null` if it recurs after an interval. */
  readonly cron: string | null
  /** The interval in milliseconds, or `null` if it has a cron expression. */
  readonly everyMs: number | null
  /** The time zone of the cron expression. */
  readonly timeZone: string
  /** No occurrence comes before this moment; `null` without such a limit. */
  readonly start: Date | null
  /** No occurrence comes after this moment; `null` without such a limit. */
  readonly end: Date | null
  /** The payload of its jobs. */
  readonly payload: unknown
  /** The queue of its jobs, or `null`. */
  readonly queue: string | null
  /** The priority of its jobs. */
  readonly priority: number
  /** How many attempts each job has. */
  readonly maxAttempts: number
  /** What happens to missed occurrences. `{ all: 1 }` is `'once'`. */
  readonly missed: 'once' | 'skip' | { readonly all: number }
  /** What happens to an occurrence while an earlier job has not ended. */
  readonly overlap: 'skip' | 'queue' | 'allow'
  /** The longest random delay of a job, in milliseconds. */
  readonly jitterMs: number
  /** The next occurrence; `null` while it is paused, and after the last occurrence. */
  readonly nextAt: Date | null
  /** The last occurrence that has scheduled a job, or `null`. */
  readonly lastAt: Date | null
  /** The id of the last job, or `null`. */
  readonly lastJob: string | null
  /** How many times it has skipped occurrences. Several that are skipped together count once. */
  readonly skips: number
  /** When it last skipped occurrences, or `null`. */
  readonly skippedAt: Date | null
  /** Why it did so: they were missed, or the job of an earlier one had not ended. `null` if it has skipped none. */
  readonly skipReason: 'missed' | 'overlap' | null
  /** Whether it is paused. */
  readonly isPaused: boolean
  /** The program whose code declares it, or `null` if a call has set it. */
  readonly source: string | null
  /** Whether `set` has changed what the code declares. `reset` takes that back. */
  readonly isChanged: boolean
  /** When it was set for the first time. */
  readonly createdAt: Date
  /** When it was changed last. */
  readonly updatedAt: Date
}

/** A page of recurring jobs. */
export interface RecurringPage {
  /** When the page was read, by the database's clock. */
  readonly at: Date
  /** The recurring jobs, by name. */
  readonly entries: readonly RecurringJob[]
  /** The cursor of the next page; absent on the last page. */
  readonly cursor?: string | undefined
}

/** Reads a row. */
export function toRecurringJob(row: EntryRow): RecurringJob {
  const { name, task, cron, everyMs, timeZone, payload, queue, overlap, jitterMs, lastJob, skips, skipReason } = row
  return {
    name,
    task,
    cron,
    everyMs,
    timeZone,
    start: toDate(row.startMs),
    end: toDate(row.endMs),
    payload,
    queue,
    priority: row.priority ?? 0,
    maxAttempts: row.maxAttempts ?? DEFAULT_ATTEMPTS,
    missed: toMissed(row.mostMissed),
    overlap,
    jitterMs,
    nextAt: row.pausedMs === null ? toDate(row.nextMs) : null,
    lastAt: toDate(row.lastMs),
    lastJob,
    skips,
    skippedAt: toDate(row.skippedMs),
    skipReason,
    isPaused: row.pausedMs !== null,
    source: row.source,
    isChanged: row.changedMs !== null,
    createdAt: new Date(row.createdMs),
    updatedAt: new Date(row.updatedMs)
  }
}

function toMissed(most: number): RecurringJob['missed'] {
  if (most === 0) return 'skip'
  return most === 1 ? 'once' : { all: most }
}

function toDate(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms)
}

/** The engine's. */
const DEFAULT_ATTEMPTS = 25
