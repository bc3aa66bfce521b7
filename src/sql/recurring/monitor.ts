import { type Access, statement } from '../statement.ts'
import { milliseconds, table } from './row.ts'
import { IS_THERE, WAITS } from './schema.ts'

/** How many recurring jobs there are. The time is in milliseconds since 1970. */
export interface RecurringCounts {
  /** At most {@linkcode MOST_COUNTED}, so that a million of them cost no more. */
  readonly count: number
  readonly paused: number
  readonly next: { readonly name: string; readonly task: string; readonly atMs: number } | null
}

/** Counts recurring jobs, and finds the one with the next occurrence. */
export async function countRecurring(access: Access): Promise<RecurringCounts> {
  const recurring = table(access)
  const [row] = await access.execute<{ counts: string }>(statement`
    select json_build_object(
      'count', (select count(*) from (select from ${recurring} where ${IS_THERE} limit ${MOST}) counted),
      'paused', (
        select count(*) from (select from ${recurring} where paused_at is not null and ${IS_THERE} limit ${MOST}) counted
      ),
      'next', (
        select json_build_object('name', name, 'task', task, 'atMs', ${milliseconds('next_at')})
        from ${recurring} where ${WAITS} order by next_at limit 1
      )
    )::text as counts`)
  return JSON.parse(row!.counts)
}

/** The tasks of recurring jobs. The index leads from one name to the next, so many recurring jobs cost no more. */
export async function findRecurringTasks(access: Access): Promise<readonly string[]> {
  const recurring = table(access)
  const rows = await access.execute<{ task: string }>(statement`
    with recursive tasks as (
      (select task from ${recurring} where ${IS_THERE} order by task limit 1)
      union all
      select (
        select task from ${recurring} where ${IS_THERE} and task > tasks.task order by task limit 1
      )
      from tasks where task is not null
    )
    select task from tasks where task is not null`)
  return rows.map(({ task }) => task)
}

/** The names of some recurring jobs of a task. */
export async function findNamesOf(access: Access, task: string, limit: number): Promise<readonly string[]> {
  const rows = await access.execute<{ name: string }>(statement`
    select name from ${table(access)} where task = ${task}::text and ${IS_THERE} order by name limit ${limit}::text::int`)
  return rows.map(({ name }) => name)
}

/** The most recurring jobs that {@linkcode countRecurring} counts. */
export const MOST_COUNTED = 10_000

const MOST = { sql: String(MOST_COUNTED) }
