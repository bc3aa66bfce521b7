import type { Sql } from 'postgres'
import { ownSchema } from './names.ts'

/**
 * The tasks of due jobs that neither this worker nor a peer knows. Such jobs stay, so they come to be the first of all
 * that wait: a look at these finds them, however many there are.
 */
export async function findUnknownTasks(sql: Sql, schema: string, known: readonly string[]): Promise<string[]> {
  const rows = await sql<{ task: string }[]>`
    with first as materialized (
      select task_id from ${sql(schema)}._private_jobs
      where is_available and run_at <= now()
      order by priority, run_at
      limit ${MOST}
    )
    select task.identifier as task
    from ${sql(schema)}._private_tasks task
    where task.id in (select task_id from first)
      and task.identifier not in ${sql([...known])}
      and not exists (
        select from ${sql(ownSchema(schema))}.workers
        where beat_at > now() - interval '1 minute' and task.identifier = any(tasks)
      )
    order by 1`
  return rows.map(({ task }) => task)
}

const MOST = 1_000
