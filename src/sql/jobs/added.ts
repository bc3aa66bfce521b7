import type { Job } from '../../job.ts'
import { LANE } from '../../rules/lanes.ts'
import type { Fragment } from '../statement.ts'
import { clampDate } from '../times.ts'

/**
 * The columns of a job, as text. Query builders and their plugins do not rewrite these names. Times are numerics,
 * because a setting of the session changes how many digits of a float the server writes.
 */
export const ADDED: Fragment = {
  sql: `job.id::text as id, job.priority::text as priority, (extract(epoch from job.run_at) * 1000000)::text as due,
      job.attempts::text as attempts, job.max_attempts::text as maximum, job.key as key,
      (extract(epoch from job.created_at) * 1000000)::text as created`
}

/** A row of {@linkcode ADDED}. Times are in microseconds. */
export interface AddedRow {
  readonly id: string | null
  readonly priority: string
  readonly due: string
  readonly attempts: string
  readonly maximum: string
  readonly key: string | null
  readonly created: string
}

/** The job of a row; `undefined` if the engine has added nothing. */
export function toJob({ task, queue }: { task: string; queue: string | null }, row: AddedRow): Job | undefined {
  if (row.id === null) return undefined
  return {
    id: row.id,
    task,
    queue: queue?.startsWith(LANE) ? null : queue,
    priority: Number(row.priority),
    runAt: toDate(Number(row.due)),
    attempts: Number(row.attempts),
    maxAttempts: Number(row.maximum),
    key: row.key,
    scheduledAt: toDate(Number(row.created)),
    schedule: null,
    occurrence: null
  }
}

/** Converts microseconds to a date. The result is exact up to the year 2255, and exact to a millisecond after that. */
function toDate(microseconds: number): Date {
  const isExact = microseconds <= Number.MAX_SAFE_INTEGER
  return clampDate(isExact ? Math.round(microseconds) / 1_000 : Math.round(microseconds / 1_000))
}
