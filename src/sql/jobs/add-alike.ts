import type { Job } from '../../job.ts'
import { type Access, type Fragment, identifier, type Statement, statement } from '../statement.ts'
import { flagsOf, inPlace, isUntouched, type NewJob, type PlacedRow, planning, toPlace } from './add.ts'
import { ADDED, type AddedRow, toJob } from './added.ts'

/** Jobs without keys that differ only in their payloads. */
export interface AlikeJobs {
  readonly shared: Omit<NewJob, 'payload' | 'key' | 'keyMode'>
  /** JSON text: the array of the payloads. */
  readonly payloads: string
  readonly count: number
}

/**
 * Schedules jobs in one `add_jobs`. As in `addTogether`, the microsecond of a job's time identifies its row. So jobs
 * with a `runAt` have no queue.
 *
 * @returns the jobs in the order of the payloads; `undefined` if nothing was added, as in `addTogether`
 */
export async function addAlike(access: Access, jobs: AlikeJobs): Promise<Job[] | undefined> {
  const { shared, count } = jobs
  const result: Fragment = { sql: `${ADDED.sql}, ${toPlace(shared.runAt !== null).sql}` }
  const rows = await access.execute<AddedRow & PlacedRow>(add(access, jobs, result, IN_ORDER, isUntouched(access)))
  if (rows.length === 0) return undefined
  const added = inPlace(count, rows, row => ({ index: Number(row.place), job: toJob(shared, row) }))
  if (rows.length !== count || !added.every(job => job !== undefined)) {
    throw new Error(`Cannot tell whose jobs the engine returned: ${rows.length} instead of ${count}`)
  }
  return added
}

/** Schedules jobs in one `add_jobs` and returns nothing. This is the fastest way. */
export async function addAlikeUnseen(access: Access, jobs: AlikeJobs): Promise<void> {
  await access.execute(add(access, jobs, { sql: 'count(*)' }, jobs.shared.runAt === null ? IN_ORDER : AT_ONCE, ALWAYS))
}

/** Each job runs one microsecond after the job before it, or all jobs run at the same time. */
const IN_ORDER: Fragment = { sql: "+ (ordinal - 1) * interval '1 microsecond'" }
const AT_ONCE: Fragment = { sql: '' }

const ALWAYS: Fragment = { sql: 'true' }

/** The same jobs as a list. */
export function toNewJobs({ shared, payloads }: AlikeJobs): NewJob[] {
  const list: unknown[] = JSON.parse(payloads)
  return list.map(payload => ({ ...shared, payload: JSON.stringify(payload), key: null, keyMode: 'replace' }))
}

/** Values that all jobs share are parameters instead of JSON, so that the server reads them only once. */
function add(
  access: Access,
  { shared, payloads }: AlikeJobs,
  result: Fragment,
  offset: Fragment,
  condition: Statement | Fragment
): Statement {
  const { task, queue, runAt, delayMs, maxAttempts, priority } = shared
  return statement`
    select ${result}
    from ${planning(access)}, lateral ${identifier(access.schema)}.add_jobs(array(
      select (
        ${task}::text,
        payload,
        ${queue}::text,
        coalesce(${runAt}::text::timestamptz, statement_timestamp() + ${delayMs}::text::float8 * interval '1 millisecond') ${offset},
        ${maxAttempts}::text::int2,
        null,
        ${priority}::text::int2,
        ${flagsOf(shared)}::text::text[]
      )::${identifier(access.schema)}.job_spec
      from json_array_elements(${payloads}::text::json) with ordinality as spec (payload, ordinal)
      where ${condition}
    ), planning.mode is null) job`
}
