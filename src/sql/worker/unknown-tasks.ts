import { ownSchema } from '../names.ts'
import { type Execute, identifier, statement, textArray } from '../statement.ts'

/**
 * Finds the tasks of due jobs that no worker knows. Jobs of these tasks stay, so over time they become the first of all
 * waiting jobs. The statement reads only the first jobs, so the number of jobs does not matter.
 */
export async function findUnknownTasks(execute: Execute, schema: string, known: readonly string[]): Promise<string[]> {
  const rows = await execute<{ task: string }>(statement`
    with first as materialized (
      select task_id from ${identifier(schema)}._private_jobs
      where is_available and run_at <= now()
      order by priority, run_at
      limit ${{ sql: MOST }}
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

const MOST = '1000'
