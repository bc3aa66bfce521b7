import type { JobState, ListedJob } from '../../inspect.ts'
import { ownSchema } from '../names.ts'
import { type Access, allOf, type Fragment, identifier, type Statement, statement, textArray } from '../statement.ts'
import { castOf, type Target, toColumn } from '../waiting.ts'

/** What has to hold for a job; `null` where it does not matter. */
export interface JobConditions {
  readonly states: readonly JobState[] | null
  readonly task: string | null
  readonly queue: string | null
  readonly search: string | null
}

/** Finds jobs that are not done, those scheduled last first, from below an id on. */
export async function findJobs(
  access: Access,
  conditions: JobConditions,
  before: string | null,
  limit: number
): Promise<ListedJob[]> {
  const all = [...toConditions(conditions), ...(before === null ? [] : [statement`job.id < ${before}::text::bigint`])]
  const rows = await access.execute<JsonRow>(statement`
    select row_to_json(page)::text as json
    from (
      select ${COLUMNS} from ${jobsView(access)} job
      where ${allOf(all)}
      order by job.id desc
      limit ${{ sql: String(limit) }}
    ) page`)
  return rows.map(toListedJob)
}

/** A job that is not done. */
export async function findJob(access: Access, target: Target): Promise<ListedJob | undefined> {
  const { column, value } = toColumn(target)
  const [row] = await access.execute<JsonRow>(statement`
    select row_to_json(page)::text as json
    from (
      select ${COLUMNS} from ${jobsView(access)} job where job.${column} = ${value}::text${castOf(target)}
    ) page`)
  return row && toListedJob(row)
}

/** What the run of a job that is under way has logged, or `null`. */
export async function findLiveLog({ execute, schema }: Access, id: string): Promise<unknown> {
  const [row] = await execute<{ log: string | null }>(statement`
    select log::text as log from ${identifier(ownSchema(schema))}.progress where job_id = ${id}::text::bigint`)
  return row?.log ? JSON.parse(row.log) : null
}

/** The public view of jobs. */
export function jobsView({ schema }: Access): Fragment {
  return { sql: `${identifier(ownSchema(schema)).sql}.jobs` }
}

/** The conditions as they are asked of the view `jobs`, called `job`. */
export function toConditions({ states, task, queue, search }: JobConditions): Statement[] {
  const conditions: Statement[] = []
  if (states) conditions.push(ofStates(states))
  if (task !== null) conditions.push(statement`job.task = ${task}::text`)
  if (queue !== null) conditions.push(statement`job.queue = ${queue}::text`)
  if (search !== null) conditions.push(matching(search))
  return conditions
}

/** A text as a pattern that finds it anywhere, whatever characters are in it. */
export function toPattern(text: string): string {
  return `%${text.replaceAll(/[\\%_]/g, '\\$&')}%`
}

/**
 * The state is made up of several tables' columns; what it says of the job's own is asked first, so that the other
 * tables are looked up for few jobs.
 */
function ofStates(states: readonly JobState[]): Statement {
  const [only] = states
  const own = states.length === 1 && only ? OWN_CONDITIONS[only] : undefined
  const asked = statement`job.state = any(${textArray(states)}::text::text[])`
  return own ? statement`${own} and ${asked}` : asked
}

const OWN_CONDITIONS: Readonly<Partial<Record<JobState, Fragment>>> = {
  scheduled: { sql: 'job.ready_at > now()' },
  running: { sql: 'job.fetched_at is not null' },
  retrying: { sql: 'job.fetched_at is null and job.attempts > 0' },
  failed: { sql: 'job.fetched_at is null and job.attempts >= job.max_attempts' }
}

function matching(search: string): Statement {
  const pattern = toPattern(search)
  return statement`(
    job.id::text = ${search}::text or job.key ilike ${pattern}::text or job.task ilike ${pattern}::text
    or job.error ilike ${pattern}::text or job.payload::text ilike ${pattern}::text
  )`
}

/** Numbers of 64 bits are text in JSON too: JavaScript would round them. */
const COLUMNS: Fragment = {
  sql: `job.id::text as id, job.task, job.queue, job.key, job.state, job.payload, job.priority, job.attempts,
      job.max_attempts, job.scheduled_at, job.ready_at, job.fetched_at, job.worker, job.error, job.progress,
      job.progress_message, job.updated_at`
}

interface JsonRow {
  readonly json: string
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
}

function toListedJob({ json }: JsonRow): ListedJob {
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
    createdAt: new Date(row.scheduled_at),
    runAt: new Date(row.ready_at),
    fetchedAt: row.fetched_at === null ? null : new Date(row.fetched_at),
    worker,
    error,
    progress,
    progressMessage: row.progress_message,
    updatedAt: new Date(row.updated_at)
  }
}
