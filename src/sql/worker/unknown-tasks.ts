import { ownSchema } from '../names.ts'
import { type Execute, identifier, type Statement, statement, textArray } from '../statement.ts'

/**
 * Finds the tasks of due jobs that no worker knows. Jobs of these tasks stay, so over time they become the first of all
 * waiting jobs. The statement reads only the first jobs, so the number of jobs does not matter.
 */
export async function findUnknownTasks(execute: Execute, schema: string, known: readonly string[]): Promise<string[]> {
  const rows = await execute<{ task: string }>(statement`
    with first as materialized (
      (${firstOf(schema, 'is null')})
      union all
      (${firstOf(schema, 'is not null')})
    )
    select task.identifier as task
    from ${identifier(schema)}._private_tasks task
    where task.id in (select task_id from first)
      and task.identifier <> all(${textArray(known)}::text::text[])
      and not exists (
        select from ${identifier(ownSchema(schema))}.workers
        where beat_at > now() - interval '1 minute' and task.identifier = any(tasks)
      )
    order by 1`)
  return rows.map(({ task }) => task)
}

/** The tasks of the first jobs without a queue, or with one. Each of the two has an index of its own. */
function firstOf(schema: string, hasQueue: 'is null' | 'is not null'): Statement {
  return statement`
      select task_id from ${identifier(schema)}._private_jobs
      where is_available and job_queue_id ${{ sql: hasQueue }} and run_at <= now()
      order by priority, run_at
      limit ${{ sql: MOST }}`
}

const MOST = '1000'
