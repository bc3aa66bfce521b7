import { IS_LANED } from '../flow/lane-index.ts'
import { ownSchema } from '../names.ts'
import { type Execute, type Fragment, identifier, statement, textArray } from '../statement.ts'
import { IS_QUEUED } from './claim/queues.ts'

/**
 * Finds the tasks of due jobs that no worker knows. The statement goes from task to task by the index, so the number of
 * jobs without a queue does not matter. Of the jobs in queues, it reads only the first.
 */
export async function findUnknownTasks(execute: Execute, schema: string, known: readonly string[]): Promise<string[]> {
  const jobs: Fragment = { sql: `${identifier(schema).sql}._private_jobs job` }
  const rows = await execute<{ task: string }>(statement`
    with recursive of_free (task_id) as (
      (select task_id from ${jobs} where ${FREE} order by task_id limit 1)
      union all
      select (select task_id from ${jobs} where ${FREE} and task_id > before.task_id order by task_id limit 1)
      from of_free before where before.task_id is not null
    ), of_queued as materialized (
      select task_id from ${jobs}
      where is_available and ${QUEUED} and run_at <= now()
      order by priority, run_at
      limit ${{ sql: MOST }}
    ), of_lanes as materialized (
      select task_id from ${jobs}
      where ${IS_LANED} and run_at <= now()
      order by run_at
      limit ${{ sql: MOST }}
    )
    select task.identifier as task
    from ${identifier(schema)}._private_tasks task
    where task.identifier <> all(${textArray(known)}::text::text[])
      and not exists (
        select from ${identifier(ownSchema(schema))}.workers
        where beat_at > now() - interval '1 minute' and task.identifier = any(tasks)
      )
      and (
        task.id in (select task_id from of_queued)
        or task.id in (select task_id from of_lanes)
        or task.id in (select task_id from of_free) and exists (
          select from ${jobs} where task_id = task.id and ${FREE} and run_at <= now()
        )
      )
    order by 1`)
  return rows.map(({ task }) => task)
}

const QUEUED: Fragment = { sql: IS_QUEUED }
const FREE: Fragment = { sql: 'is_available and job_queue_id is null' }
const MOST = '1000'
