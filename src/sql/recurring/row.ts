import { ownSchema } from '../names.ts'
import { type Access, type Fragment, identifier, type Statement, statement } from '../statement.ts'
import { WAITS } from './schema.ts'

/** How a recurring job is defined. Times are in milliseconds since 1970. */
export interface EntryDefinition {
  readonly name: string
  readonly task: string
  readonly cron: string | null
  readonly everyMs: number | null
  readonly timeZone: string
  readonly startMs: number | null
  readonly endMs: number | null
  /** JSON text. */
  readonly payload: string
  readonly queue: string | null
  /** How many jobs of the queue run at the same time, if they do not run one after another. */
  readonly slots: number | null
  readonly priority: number | null
  readonly maxAttempts: number | null
  /** The version of the task that has set it, if the task has one. */
  readonly version: number | null
  /** How many missed occurrences are scheduled at most. */
  readonly mostMissed: number
  readonly overlap: 'skip' | 'queue' | 'allow'
  readonly jitterMs: number
}

/** A recurring job as the database stores it. Times are in milliseconds since 1970. */
export interface EntryRow extends Omit<EntryDefinition, 'payload'> {
  readonly payload: unknown
  readonly nextMs: number | null
  readonly lastMs: number | null
  readonly lastJob: string | null
  readonly skips: number
  readonly skippedMs: number | null
  readonly skipReason: 'missed' | 'overlap' | null
  readonly pausedMs: number | null
  /** The program whose code declares it, or `null`. */
  readonly source: string | null
  /** The definition in the code, or `null`. */
  readonly code: EntryDefinition | null
  readonly changedMs: number | null
  readonly createdMs: number
  readonly updatedMs: number
  /** Changes with each change of the row. */
  readonly revision: string
  /** The time of the database. */
  readonly nowMs: number
}

/** The channel on which workers hear that an occurrence comes earlier than they know. */
export const RECURRING_CHANNEL = 'kretes:recurring'

/** Tells workers of a changed row, if no other occurrence comes before its next one. */
export function telling(access: Access, row: string): Statement {
  return statement`case when ${{ sql: row }}.next_at is not null and not exists (
      select from ${table(access)} other where ${WAITS} and other.next_at < ${{ sql: row }}.next_at
        and other.next_at >= statement_timestamp()
    ) then pg_notify(${RECURRING_CHANNEL}::text, '') end::text as told`
}

/** The table of recurring jobs. */
export function table({ schema }: Pick<Access, 'schema'>): Fragment {
  return { sql: `${identifier(ownSchema(schema)).sql}.recurring` }
}

/** A time as milliseconds since 1970. */
export function milliseconds(time: string): Fragment {
  return { sql: `(extract(epoch from ${time}) * 1000)::float8` }
}

/** In whole milliseconds, as occurrences are. */
export const NOW: Fragment = { sql: `floor(${milliseconds('clock_timestamp()').sql})` }

/** Changes with each change of the row. */
export const REVISION: Fragment = { sql: '(extract(epoch from recurring.updated_at) * 1000000)::bigint::text' }

/** A row of {@linkcode ROW}. */
export interface JsonRow {
  readonly entry: string | null
}

/** A row of the table `recurring`, or `null` if there is none. */
export const ROW: Fragment = {
  sql: `case when recurring.name is not null then json_build_object(
      'name', recurring.name,
      'task', recurring.task,
      'cron', recurring.cron,
      'everyMs', recurring.every_ms,
      'timeZone', recurring.time_zone,
      'startMs', ${milliseconds('recurring.start_at').sql},
      'endMs', ${milliseconds('recurring.end_at').sql},
      'payload', recurring.payload,
      'queue', recurring.queue,
      'slots', recurring.queue_slots,
      'priority', recurring.priority,
      'maxAttempts', recurring.max_attempts,
      'version', recurring.task_version,
      'mostMissed', recurring.most_missed,
      'overlap', recurring.overlap,
      'jitterMs', recurring.jitter_ms,
      'nextMs', ${milliseconds('recurring.next_at').sql},
      'lastMs', ${milliseconds('recurring.last_at').sql},
      'lastJob', recurring.last_job::text,
      'skips', recurring.skips,
      'skippedMs', ${milliseconds('recurring.skipped_at').sql},
      'skipReason', recurring.skip_reason,
      'pausedMs', ${milliseconds('recurring.paused_at').sql},
      'source', recurring.source,
      'code', recurring.code,
      'changedMs', ${milliseconds('recurring.changed_at').sql},
      'createdMs', ${milliseconds('recurring.created_at').sql},
      'updatedMs', ${milliseconds('recurring.updated_at').sql},
      'revision', ${REVISION.sql},
      'nowMs', ${NOW.sql}
    ) end::text as entry`
}

/** Reads a row of {@linkcode ROW}. */
export function toEntry(row: JsonRow | undefined): EntryRow | undefined {
  return row?.entry ? JSON.parse(row.entry) : undefined
}
