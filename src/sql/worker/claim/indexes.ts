import { type Execute, type Fragment, identifier, statement } from '../../statement.ts'

/**
 * Creates an index that finds the queues with a job that a worker has. It contains no jobs without a queue, so these
 * jobs cost nothing.
 *
 * Earlier versions removed queues without jobs. A job that was added at the same moment could lose its queue and never
 * run. This migration adds the missing queue again under another name.
 */
export async function indexBusyQueues(execute: Execute, schema: string): Promise<void> {
  await execute(statement`
    insert into ${identifier(schema)}._private_job_queues (id, queue_name) overriding system value
    select distinct job_queue_id, 'forgotten queue ' || job_queue_id from ${identifier(schema)}._private_jobs job
    where job_queue_id is not null
      and not exists (select from ${identifier(schema)}._private_job_queues queue where queue.id = job.job_queue_id)
    on conflict do nothing`)
  await execute(statement`
    create index if not exists kretes_busy_queues on ${identifier(schema)}._private_jobs (job_queue_id)
    where locked_at is not null and job_queue_id is not null`)
}

/**
 * Creates the indexes from which workers fetch.
 *
 * - The engine's index, under its own name, but without the jobs of queues. A fetch that looks for other jobs then never
 *   passes over the backlog of a queue. One more index beside the engine's would slow down each call that schedules.
 *   Workers of graphile-worker itself cannot use the index any more.
 * - The same for jobs of queues.
 * - An index that finds the first jobs of a queue in their exact order. The others do not sort jobs with the same run
 *   time, and the jobs of one call all have the same.
 */
export async function indexQueues(execute: Execute, schema: string): Promise<void> {
  const jobs: Fragment = { sql: `${identifier(schema).sql}._private_jobs` }
  await execute(statement`drop index if exists ${identifier(schema)}.jobs_main_index`)
  await execute(statement`
    create index jobs_main_index on ${jobs} (priority, run_at) include (id, task_id)
    where is_available and job_queue_id is null`)
  await execute(statement`
    create index if not exists kretes_queued on ${jobs} (priority, run_at) include (id, task_id, job_queue_id)
    where is_available and job_queue_id is not null`)
  await execute(statement`
    create index if not exists kretes_queues_in_order on ${jobs} (job_queue_id, priority, run_at, id)
    where is_available and job_queue_id is not null`)
}

/**
 * Lets the index of jobs without a queue begin with the task. A fetch then reads only jobs of the tasks that the worker
 * may run: jobs of paused tasks, and of tasks of other workers, cost it nothing, however many wait.
 */
export async function indexTasks(execute: Execute, schema: string): Promise<void> {
  await execute(statement`drop index if exists ${identifier(schema)}.jobs_main_index`)
  await execute(statement`
    create index jobs_main_index on ${identifier(schema)}._private_jobs (task_id, priority, run_at) include (id)
    where is_available and job_queue_id is null`)
}
