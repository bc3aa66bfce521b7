import type { ListedJob } from '../../job.ts'
import { castOf, type Target, toColumn } from '../jobs/waiting.ts'
import { ownSchema } from '../names.ts'
import { type Access, allOf, type Fragment, identifier, statement, textArray } from '../statement.ts'
import { NOW_MS, toDate } from '../times.ts'
import { type JobConditions, toConditions } from './conditions.ts'

/** Finds jobs that are not done, in descending order of their ids, with ids below `before`. */
export async function findJobs(
  access: Access,
  conditions: JobConditions,
  before: string | null,
  limit: number
): Promise<{ readonly at: Date; readonly jobs: ListedJob[] }> {
  const all = toConditions(access, conditions)
  if (before !== null) all.push(statement`job.id < ${before}::text::bigint`)
  const rows = await access.execute<PageRow>(statement`
    with found as materialized (
      select job.id from ${identifier(access.schema)}._private_jobs job
      where ${allOf(all)}
      order by job.id desc
      limit ${{ sql: String(limit) }}
    )
    select ${{ sql: NOW_MS }} as at, row_to_json(page)::text as json
    from (select) once
    left join (
      select ${COLUMNS} from ${jobsView(access)} job
      where job.id = any(array(select id from found))
    ) page on true
    order by page.id::bigint desc`)
  return {
    at: new Date(Number(rows[0]!.at)),
    jobs: rows.flatMap(({ json }) => (json === null ? [] : toListedJob(json)))
  }
}

/** Finds a job that is not done. */
export async function findJob(
  access: Access,
  target: Target
): Promise<{ readonly at: Date; readonly job: ListedJob | undefined }> {
  const { column, value } = toColumn(target)
  const [row] = await access.execute<PageRow>(statement`
    select ${{ sql: NOW_MS }} as at, (
      select row_to_json(page) from (
        select ${COLUMNS} from ${jobsView(access)} job where job.${column} = ${value}::text${castOf(target)}
      ) page
    )::text as json`)
  const { at, json } = row!
  return { at: new Date(Number(at)), job: json === null ? undefined : toListedJob(json) }
}

/** Finds the ids that belong to no job. Returns each id once, in the given order. */
export async function findMissing({ execute, schema }: Access, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return []
  const rows = await execute<{ id: string }>(statement`
    select wanted.id::text as id
    from unnest(${textArray(ids)}::text::bigint[]) with ordinality as wanted (id, place)
    where not exists (select from ${identifier(schema)}._private_jobs job where job.id = wanted.id)
    group by wanted.id
    order by min(place)`)
  return rows.map(({ id }) => id)
}

/** The log of a job's current run, or `null`. */
export async function findLiveLog({ execute, schema }: Access, id: string): Promise<unknown> {
  const [row] = await execute<{ log: string | null }>(statement`
    select log::text as log from ${identifier(ownSchema(schema))}.progress where job_id = ${id}::text::bigint`)
  return row?.log ? JSON.parse(row.log) : null
}

/** The public view of jobs. */
function jobsView({ schema }: Access): Fragment {
  return { sql: `${identifier(ownSchema(schema)).sql}.jobs` }
}

/** Numbers of 64 bits are text in JSON too, because JavaScript would round them. */
const COLUMNS: Fragment = {
  sql: `job.id::text as id, job.task, job.queue, job.key, job.state, job.payload, job.priority, job.attempts,
      job.max_attempts, job.scheduled_at, job.ready_at, job.fetched_at, job.worker, job.error, job.progress,
      job.progress_message, job.updated_at, job.schedule, job.occurrence`
}

interface PageRow {
  readonly at: string
  readonly json: string | null
}

interface JobRow
  extends Pick<ListedJob, 'id' | 'task' | 'queue' | 'key' | 'state' | 'payload' | 'priority' | 'attempts'> {
  readonly max_attempts: number
  readonly scheduled_at: string
  readonly ready_at: string
  readonly fetched_at: string | null
  readonly worker: string | null
  readonly error: string | null
  readonly progress: number | null
  readonly progress_message: string | null
  readonly updated_at: string
  readonly schedule: string | null
  readonly occurrence: string | null
}

function toListedJob(json: string): ListedJob {
  const row: JobRow = JSON.parse(json)
  const { id, task, queue, key, state, payload, priority, attempts, worker, error, progress } = row
  return {
    id,
    task,
    queue,
    key,
    state,
    payload,
    priority,
    attempts,
    maxAttempts: row.max_attempts,
    scheduledAt: toDate(row.scheduled_at),
    schedule: row.schedule,
    occurrence: row.occurrence === null ? null : toDate(row.occurrence),
    runAt: toDate(row.ready_at),
    fetchedAt: row.fetched_at === null ? null : toDate(row.fetched_at),
    worker,
    error,
    progress,
    progressMessage: row.progress_message,
    updatedAt: toDate(row.updated_at)
  }
}
