import type { Row, Sql } from 'postgres'
import { until } from '../helpers/until.ts'

/** What became of the occurrences of recurring jobs whose interval, start and end are known. */
export interface Occurrences {
  /** How many there are from the first to the last. */
  readonly expected: number
  /** Occurrences without a job. */
  readonly missing: number
  /** Occurrences with more than one job. */
  readonly twice: number
  /** Jobs of moments that are no occurrence. */
  readonly foreign: number
  /** Jobs that were scheduled before their occurrence. */
  readonly early: number
  /** The longest time from an occurrence to its job, in milliseconds. */
  readonly latestMs: number
}

/** Waits until no recurring job has an occurrence to come. */
export async function whenAllScheduled(sql: Sql, timeoutMs = 120_000): Promise<void> {
  const isOver = async (): Promise<boolean> =>
    (await sql`select from kretes.recurring where next_at is not null limit 1`).length === 0
  await until(isOver, { timeoutMs, intervalMs: 50, what: 'the last occurrence' })
}

/**
 * Compares the occurrences of all recurring jobs with their jobs, those that wait and those in the ledger. Each has an
 * interval, a start and an end.
 */
export async function judgeOccurrences(sql: Sql): Promise<Occurrences> {
  const [found] = await sql<(Occurrences & Row)[]>`
    with expected as (
      select name as schedule, at as occurrence
      from kretes.schedules, generate_series(start_at, end_at, every) at
    ), job as (
      select distinct schedule, occurrence, job_id as id, scheduled_at from kretes.runs where schedule is not null
      union
      select schedule, occurrence, id, scheduled_at from kretes.jobs where schedule is not null
    ), counted as (
      select schedule, occurrence, count(distinct id) as jobs from job group by 1, 2
    )
    select
      (select count(*)::int from expected) as expected,
      (select count(*)::int from expected natural left join counted where jobs is null) as missing,
      (select count(*)::int from counted where jobs > 1) as twice,
      (
        select count(*)::int from job
        where not exists (select from expected natural join (select job.schedule, job.occurrence) own)
      ) as foreign,
      (select count(*)::int from job where scheduled_at < occurrence) as early,
      (select coalesce(max(extract(epoch from scheduled_at - occurrence) * 1000), 0)::int from job) as "latestMs"`
  if (!found) throw new Error('Cannot judge the occurrences: there is no answer')
  return found
}

/** Fails, naming all that is wrong, unless each occurrence has one job, and none was scheduled early. */
export function demandOccurrences({ expected, latestMs: _, ...wrong }: Occurrences): void {
  const found = Object.entries(wrong).filter(([, count]) => count !== 0)
  if (found.length === 0 && expected > 0) return
  throw new Error(`Of ${expected} occurrences: ${found.map(([name, count]) => `${name} ${count}`).join(', ')}`)
}
