import { LIMITED } from '../../../rules/lanes.ts'
import { IS_CHOSEN, IS_FITTING, isChosenQueue } from '../../flow/choice.ts'
import { isRunnable } from '../../flow/pauses.ts'
import { identifier } from '../../statement.ts'

/**
 * Where a claim looks for queues with jobs: in `none` but those that it is given, among the `first` jobs of queues, or in
 * `all` queues.
 */
export type Scan = 'none' | 'first' | 'all'

/** Whether a `job` is due and no worker has it. */
export const IS_DUE = 'job.is_available and job.run_at <= now()'

/** Whether a `job` is in a queue, and not in a lane. The indexes have the same condition. */
export const IS_QUEUED = `job.job_queue_id is not null and (job.flags -> '${LIMITED}') is null`

/** Whether the worker may take a `job`. */
export const IS_WAITING = `${IS_DUE} and ${IS_CHOSEN.sql}`

/** The ids of the queues of the front, and of the queues that the worker has released. */
export const GIVEN = `
        select job_queue_id as id from front where job_queue_id is not null
        union
        select id from unnest($6::int[]) as also (id) where id <> all($3::int[])`

/** The ids of the listed queues with the first jobs that wait, and of the queues that the worker has released. */
export function listed(schema: string, size: number): string {
  const engine = identifier(schema).sql
  return `
        select id
        from (
          select queue.id
          from unnest((select ids from listed)) queue (id), lateral (
            select priority, run_at, id
            from ${engine}._private_jobs job
            where job.job_queue_id = queue.id and ${IS_QUEUED} and ${IS_WAITING}
            order by priority, run_at, id limit 1
          ) job
          where ${isFree(schema, 'queue.id')}
          order by job.priority, job.run_at, job.id
          limit ${size}
        ) first
        union
        select id from unnest($6::int[]) as also (id) where id <> all($3::int[])`
}

/**
 * Whether the worker has released a queue that has a due job for other workers only: of a task that this one does not
 * run, or of a newer version. They do not know that the queue is free.
 */
export function leavesJobs(schema: string): string {
  const engine = identifier(schema).sql
  return `exists (
        select from unnest($6::int[]) also (id), lateral (
          select from ${engine}._private_jobs job
          join ${engine}._private_tasks task on task.id = job.task_id
          where job.job_queue_id = also.id and ${IS_QUEUED} and ${IS_DUE} and not coalesce(${IS_CHOSEN.sql}, false)
            and ${isRunnable(schema, 'task.identifier').sql}
          limit 1
        ) job
        where also.id not in (select job_queue_id from found where job_queue_id is not null) and ${isFree(schema, 'also.id')}
      )`
}

/** So many of the first jobs of queues are looked at. */
const MOST_FIRST = 5_000

/**
 * Whether all of the first jobs of queues belong to queues from which the worker takes none. There may be others behind
 * them.
 */
export const IS_COVERED = `case when not exists (select from queued_front) then (
          select count(*) from first_queued
        ) = ${MOST_FIRST} else false end`

/** The front with the jobs of queues that no worker holds. */
export function withQueues(schema: string, size: number, scans: Scan): string {
  return `${scans === 'first' ? firstQueued(schema, size) : allQueued(schema, size)}, front as materialized (
      select * from (select * from free union all select * from queued_front) job
      order by priority, run_at
      limit ${size}
    )`
}

/**
 * A look at the first jobs of all queues. It is fast, and usually finds the queues. It reads only the index, except of jobs
 * that the worker will probably take.
 */
function firstQueued(schema: string, size: number): string {
  const engine = identifier(schema).sql
  return `first_queued as materialized (
      select id, priority, run_at, task_id, job_queue_id
      from ${engine}._private_jobs job
      where ${IS_DUE} and ${IS_QUEUED}
      order by priority, run_at
      limit ${MOST_FIRST}
    ), queued_front as materialized (
      select priority, run_at, task_id, job_queue_id
      from first_queued
      where task_id = any((select ids from known)::int[]) and ${isOpen(schema, 'job_queue_id')} and (
        select ${IS_FITTING.sql} from ${engine}._private_jobs job where job.id = first_queued.id
      )
      limit ${size}
    )`
}

/**
 * A look at the first job of each queue, from a random queue on. The number of jobs does not matter, only the number of
 * queues: this finds a queue behind the backlogs of others, which may be paused, or held by workers.
 */
function allQueued(schema: string, size: number): string {
  const engine = identifier(schema).sql
  const next = (condition: string): string => `
          select job_queue_id from ${engine}._private_jobs job
          where job.is_available and ${IS_QUEUED} ${condition}
          order by job_queue_id limit 1`
  return `start (id) as materialized (
      select coalesce((random() * max(id))::int, 0) from ${engine}._private_job_queues
    ), in_turn (id) as (
      (${next('and job_queue_id >= (select id from start)')})
      union all
      select (${next('and job_queue_id > before.id')})
      from in_turn before where before.id is not null
    ), in_second_turn (id) as (
      (${next('and job_queue_id < (select id from start)')})
      union all
      select (${next('and job_queue_id > before.id and job_queue_id < (select id from start)')})
      from in_second_turn before where before.id is not null
    ), queued_front as materialized (
      select job.*
      from (select id from in_turn union all select id from in_second_turn) queue, lateral (
        select priority, run_at, task_id, job_queue_id
        from ${engine}._private_jobs job
        where job.job_queue_id = queue.id and ${IS_QUEUED} and ${IS_WAITING}
        order by priority, run_at, id limit 1
      ) job
      where ${isOpen(schema, 'queue.id')}
      limit ${size}
    )`
}

/** Whether the worker takes jobs of a queue, by its id, and no worker has a job of it. */
function isOpen(schema: string, queue: string): string {
  return `${isChosenQueue({ kind: 'except', names: [] }, queue)} and ${isFree(schema, queue)}`
}

/** Whether no worker has a job of a queue, by its id, and the queue is not to be skipped. */
function isFree(schema: string, queue: string): string {
  return `${queue} <> all($3::int[])
        and ${queue} not in (
          select busy.job_queue_id from ${identifier(schema).sql}._private_jobs busy
          where busy.locked_at is not null and busy.job_queue_id is not null
          order by busy.job_queue_id limit ${MOST_BUSY}
        )`
}

/** The limit makes the server expect that all these queues fit into memory. It looks further queues up one by one. */
const MOST_BUSY = 10_000
