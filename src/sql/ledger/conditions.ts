import type { JobState } from '../../inspect.ts'
import { ownSchema } from '../names.ts'
import { type Access, type Fragment, identifier, type Statement, statement } from '../statement.ts'

/** Conditions on a job; `null` is none. */
export interface JobConditions {
  readonly states: readonly JobState[] | null
  readonly task: string | null
  readonly queue: string | null
  readonly search: string | null
}

/**
 * The conditions as they are asked of the engine's table of jobs, called `job`. The view `jobs` says the same, but would
 * be put together for a hundred thousand jobs to show fifty.
 */
export function toConditions(access: Access, { states, task, queue, search }: JobConditions): Statement[] {
  const engine = identifier(access.schema)
  const conditions: Statement[] = []
  if (states) conditions.push(statement`(${anyOf(states.map(state => inState(access, state)))})`)
  if (task !== null) {
    conditions.push(statement`job.task_id = (select id from ${engine}._private_tasks where identifier = ${task}::text)`)
  }
  if (queue !== null) {
    conditions.push(
      statement`job.job_queue_id = (select id from ${engine}._private_job_queues where queue_name = ${queue}::text)`
    )
  }
  if (search !== null) conditions.push(matching(engine, search))
  return conditions
}

/** A text as a pattern that finds it anywhere, whatever characters are in it. */
export function toPattern(text: string): string {
  return `%${text.replaceAll(/[\\%_]/g, '\\$&')}%`
}

/** Whether a job is in a state, as the view `jobs` has it. */
export function inState({ schema }: Access, state: JobState): Fragment {
  const workers = `${identifier(ownSchema(schema)).sql}.workers worker where worker.id = job.locked_by`
  const isRunning = `job.locked_at is not null and (not exists (select from ${workers})
      or exists (select from ${workers} and job.id = any(worker.running)))`
  const isFresh = `not (job.locked_at is null and job.attempts > 0) and not (${isRunning})`
  const sql: Record<JobState, string> = {
    running: isRunning,
    failed: 'job.locked_at is null and job.attempts >= job.max_attempts',
    retrying: 'job.locked_at is null and job.attempts > 0 and job.attempts < job.max_attempts',
    scheduled: `job.run_at > now() and ${isFresh}`,
    waiting: `job.run_at <= now() and ${isFresh}`
  }
  return { sql: `(${sql[state]})` }
}

function anyOf(conditions: readonly Fragment[]): Fragment {
  return { sql: conditions.map(({ sql }) => sql).join(' or ') }
}

function matching(engine: Fragment, search: string): Statement {
  const pattern = toPattern(search)
  return statement`(
    job.id::text = ${search}::text or job.key ilike ${pattern}::text or job.last_error ilike ${pattern}::text
    or job.payload::text ilike ${pattern}::text
    or job.task_id in (select id from ${engine}._private_tasks where identifier ilike ${pattern}::text)
  )`
}
