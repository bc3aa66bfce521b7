import { identifier } from '../statement.ts'
import { IS_FITTING } from './choice.ts'
import { IS_LANED } from './lane-index.ts'

/** An SQL condition: whether a job in a lane is due, whichever its task. */
export function hasLanes(schema: string): string {
  return `exists (
            select from ${identifier(schema).sql}._private_jobs job where ${IS_LANED.sql} and job.run_at <= now()
          )`
}

/** An SQL condition: whether a due job of a task with limits is not in a lane yet. It needs the tasks of a choice. */
export function hasUnfiled(schema: string): string {
  return `exists (
            select from unnest((select limited_ids from known)) task (id), lateral (
              select from ${identifier(schema).sql}._private_jobs job
              where job.task_id = task.id and job.job_queue_id is null and job.is_available and job.run_at <= now()
                and ${IS_FITTING.sql}
              limit 1
            ) job
          )`
}
