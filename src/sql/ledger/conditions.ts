import type { JobState } from '../../rules/states.ts'
import { isUsers } from '../names.ts'
import { type Access, type Fragment, identifier, type Statement, statement } from '../statement.ts'
import { inState } from './state.ts'

/** Conditions on a job. `null` means no condition. */
export interface JobConditions {
  readonly states: readonly JobState[] | null
  readonly task: string | null
  readonly queue: string | null
  readonly search: string | null
}

/**
 * The conditions as SQL on the engine's table of jobs, called `job`. The view `jobs` gives the same result, but the
 * server would compute it for 100,000 jobs to show 50.
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
      statement`job.job_queue_id = (select id from ${engine}._private_job_queues queue where queue_name = ${queue}::text and ${isUsers('queue')})`
    )
  }
  if (search !== null) conditions.push(matching(engine, search))
  return conditions
}

/** A pattern that finds a text anywhere. Special characters in the text are escaped. */
export function toPattern(text: string): string {
  return `%${text.replaceAll(/[\\%_]/g, '\\$&')}%`
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
