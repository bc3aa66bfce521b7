import { type ChoiceValues, choosing, IS_FITTING, isChosenQueue, type QueueChoice } from '../../flow/choice.ts'
import { hasLanes, hasUnfiled } from '../../flow/waiting.ts'
import { identifier } from '../../statement.ts'
import {
  GIVEN,
  IS_COVERED,
  IS_DUE,
  IS_QUEUED,
  IS_WAITING,
  leavesJobs,
  listed,
  type Scan,
  withQueues
} from './queues.ts'
import { BYTES, MOST_BYTES } from './size.ts'

/** What decides about the text of a claim. */
export interface ClaimText {
  /** The maximum number of jobs without a queue, and of queues. */
  readonly size: number
  /** The maximum number of jobs from all queues together. */
  readonly queued: number
  readonly scans: Scan
  readonly queues: QueueChoice['kind']
}

/**
 * The statement first reads the front of the waiting jobs, for each task that the worker may run.
 * It locks the free queues of the front and then the first jobs of each, up to an equal share. It takes these jobs up to
 * the first that is locked, so that no later job overtakes it. Then it locks jobs without a queue, in order, and skips
 * jobs that another worker has locked. It takes no more of these jobs than the front contains: jobs behind the front
 * must not overtake other queues. It checks each condition again on the locked row, which may have changed.
 *
 * It takes no queue with a job that a worker has. The row of a queue alone would not do: another worker may have let go
 * of the queue and its jobs since the statement began. The statement would not see these jobs yet, and later ones would
 * overtake them. This condition is a scalar subquery: the server may run an anti join by reading all jobs that workers
 * have, once for each queue.
 *
 * The sizes are part of the text, because the plan depends on it. Without the limit of `next`, for example, the server would
 * expect a tenth of all jobs there, and read the whole table.
 */
export function toClaimText(schema: string, { size, queued, scans, queues }: ClaimText): string {
  const engine = identifier(schema).sql
  const looks = queues === 'except' && scans !== 'none'
  const front = looks
    ? withQueues(schema, size, scans)
    : `front as (select * from free${queues === 'only' ? ' limit 0' : ''})`
  const isCovered = looks && scans === 'first' ? IS_COVERED : 'false'
  return `
    with recursive ${choosing(schema, { kind: queues, names: [] }, PARAMETERS).text}, free as materialized (
      select job.*
      from unnest((select free_ids from known)) task (id), lateral (
        select priority, run_at, task_id, null::int as job_queue_id
        from ${engine}._private_jobs job
        where job.task_id = task.id and job_queue_id is null and ${IS_DUE} and ${IS_FITTING.sql}
        order by priority, run_at
        limit ${size}
      ) job
      order by priority, run_at
      limit ${size}
    ), ${front}, queues as materialized (
      select id
      from (${queues === 'only' ? listed(schema, size) : GIVEN}) given
      where ${isChosenQueue({ kind: queues, names: [] }, 'id')}
    ), open as materialized (
      select queue.id, queue.queue_name
      from queues
      join ${engine}._private_job_queues queue using (id)
      where queue.is_available and (
        select busy.job_queue_id from ${engine}._private_jobs busy
        where busy.locked_at is not null and busy.job_queue_id = queue.id limit 1
      ) is null
      for update of queue skip locked
    ), next as materialized (
      select open.queue_name, next.*
      from open, lateral (
        select id, job_queue_id, row_number() over (order by priority, run_at, id) as place
        from ${engine}._private_jobs job
        where job.job_queue_id = open.id and ${IS_QUEUED} and ${IS_WAITING}
        order by priority, run_at, id
        limit least(
          greatest(1, ${queued} / (select count(*) from queues)),
          (select count from unnest($4::int[], $5::int[]) as most (id, count) where most.id = open.id)
        )
      ) next
      limit ${Math.max(size, queued)}
    ), queued as materialized (
      select job.id, job.priority, job.run_at, job.job_queue_id, next.queue_name, next.place, ${BYTES} as bytes
      from next
      join ${engine}._private_jobs job on job.id = next.id
      where job.job_queue_id = next.job_queue_id and ${IS_WAITING}
      for update of job skip locked
    ), unqueued as (
      select job.*
      from (
        select task_id as id, count(*) as count from front where job_queue_id is null group by task_id
      ) task, lateral (
        select *
        from (
          select id, priority, run_at, job_queue_id, null::text as queue_name, ${BYTES} as bytes
          from ${engine}._private_jobs job
          where job.task_id = task.id and job_queue_id is null and ${IS_DUE} and ${IS_FITTING.sql} and (priority, run_at) >= (
            select priority, run_at from front where job_queue_id is null order by priority, run_at limit 1
          )
          order by priority, run_at
          limit ${size}
          for update skip locked
        ) job
        limit task.count
      ) job
    ), found as materialized (
      select id, job_queue_id, queue_name, sum(bytes) over in_order - bytes < ${MOST_BYTES} as fits
      from (
        select id, priority, run_at, job_queue_id, queue_name, bytes
        from (select *, row_number() over (partition by job_queue_id order by place) as taken from queued) queued
        where place = taken
        union all
        select * from unqueued
      ) job
      window in_order as (order by priority, run_at, id rows unbounded preceding)
    ), held as (
      update ${engine}._private_job_queues queue
      set locked_by = $1::text, locked_at = now()
      from found
      where queue.id = found.job_queue_id and fits
    ), claimed as (
      update ${engine}._private_jobs job
      set attempts = job.attempts + 1, locked_by = $1::text, locked_at = now()
      from found
      where job.id = found.id and fits
      returning
        job.id, job.job_queue_id, job.task_id, job.payload, job.priority, job.run_at, job.attempts, job.max_attempts,
        job.key, job.created_at, job.locked_at, job.flags, job.last_error,
        (select names from known) ->> job.task_id::text as task_name,
        found.queue_name
    )
    select claimed.*, rest.rest
    from (
      select case when is_cut or is_covered or leaves_jobs or has_lanes or has_unfiled or stuck is not null then json_build_object(
        'isCut', is_cut, 'isCovered', is_covered, 'leavesJobs', leaves_jobs, 'hasLanes', has_lanes,
        'hasUnfiled', has_unfiled, 'stuck', coalesce(stuck, '{}')
      ) end as rest
      from (
        select
          coalesce(not (select every(fits) from found), false) as is_cut,
          ${isCovered} as is_covered,
          ${leavesJobs(schema)} as leaves_jobs,
          ${hasLanes(schema)} as has_lanes,
          ${queues === 'only' ? 'false' : hasUnfiled(schema)} as has_unfiled,
          array_agg(id) as stuck
        from (select distinct job_queue_id as id from front where job_queue_id is not null) queues
        where not exists (select from found) and (
          not (select is_available from ${engine}._private_job_queues queue where queue.id = queues.id)
          or exists (
            select from ${engine}._private_job_queues queue where queue.id = queues.id and is_available
            for update skip locked
          )
        )
      ) rest
    ) rest
    left join claimed on true
    order by priority, run_at, id`
}

/** The parameters of the choice. */
const PARAMETERS: ChoiceValues = {
  tasks: { sql: '$2' },
  versions: { sql: '$8::text' },
  queues: { sql: '$7' },
  limited: { sql: '$9' }
}
