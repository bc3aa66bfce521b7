import { LIMITED } from '../../rules/lanes.ts'
import type { Rate } from '../../rules/rates.ts'
import { isUsers, ownSchema } from '../names.ts'
import { type Access, identifier, statement } from '../statement.ts'
import { IS_LANED, limitKey } from './lane-index.ts'
import { CONCURRENCY, RATE_TEXT } from './limits.ts'
import { areCounted, RATE_COUNT, RATE_PERIOD } from './rates.ts'

/** A limit of a job. */
export interface LimitOfJob {
  /** Its kind and its name. */
  readonly name: string
  readonly isKeyed: boolean
  /** `null` if any number of jobs may run at the same time. */
  readonly concurrency: number | null
  readonly used: number
  /** The workers that use slots, those with the most first. */
  readonly workers: readonly string[]
  /** `null` if any number of jobs may begin within a period. */
  readonly rate: Rate | null
  /** How many jobs may begin within the period, and how many have. */
  readonly most: number | null
  readonly begun: number
  /** When the first of these jobs counts no more. */
  readonly next: string | null
  /** Until when the limit is held. */
  readonly heldUntil: string | null
}

/** What the limits of a job leave. */
export interface LimitedJob {
  /** The name of its queue, if the limit is that of a queue. */
  readonly queue: string | null
  readonly key: string | null
  /** How many due jobs of the same task and key, or of the same queue, come before it. */
  readonly before: number
  readonly limits: readonly LimitOfJob[]
}

/** Reads the limits of a job in a lane. Returns `undefined` for other jobs. */
export async function readLimitsOf({ execute, schema }: Access, id: string): Promise<LimitedJob | undefined> {
  const [engine, own] = [identifier(schema), identifier(ownSchema(schema))]
  const [row] = await execute<{ limited: string }>(statement`
    with limited as materialized (
      select job.*, task.identifier as task, ${limitKey(schema)} as limit_key, (
        select queue_name from ${engine}._private_job_queues queue where queue.id = job.job_queue_id and ${isUsers('queue')}
      ) as queue
      from ${engine}._private_jobs job
      join ${engine}._private_tasks task on task.id = job.task_id
      where job.id = ${id}::text::bigint and (job.flags -> '${{ sql: LIMITED }}') is not null
    )
    select json_build_object(
      'key', limit_key,
      'queue', queue,
      'before', (
        select count(*) from ${engine}._private_jobs job
        where job.job_queue_id = limited.job_queue_id and ${IS_LANED} and job.run_at <= now()
          and (job.priority, job.run_at, job.id) < (limited.priority, limited.run_at, limited.id)
      ),
      'limits', coalesce((
        select json_agg(json_build_object(
          'name', limits.name, 'isKeyed', is_keyed, 'concurrency', ${CONCURRENCY}, 'used', held.used, 'workers', held.workers,
          'rate', ${RATE_TEXT}, 'most', ${RATE_COUNT}, 'begun', starts.count, 'next', starts.first + ${RATE_PERIOD},
          'heldUntil', (
            select until from ${own}.holds where limit_name = limits.name and holds.part = part.name and until > clock_timestamp()
          )
        ) order by limits.name)
        from ${own}.declared_limits limits, lateral (
          select case when is_keyed then coalesce(limit_key, '') else '' end as name
        ) part, lateral (
          select coalesce(sum(count), 0) as count, min(at) filter (where later < ${RATE_COUNT}) as first
          from (
            select count, at, coalesce(sum(count) over (order by at desc, number rows between unbounded preceding and 1 preceding), 0) as later
            from ${own}.starts where ${areCounted('part.name')}
          ) starts
        ) starts, lateral (
          select
            coalesce(sum(slots), 0) as used,
            coalesce(json_agg(worker order by slots desc, worker), '[]') as workers
          from (
            select worker, sum(slots) as slots from ${own}.leases
            where slots > 0 and limit_name = limits.name and leases.part = part.name
            group by worker
          ) held
        ) held
        where limits.name in (
          select json_array_elements_text(definition -> 'limits') from ${own}.definitions
          where definitions.name = limited.task and queue is null
          union all
          select 'queue ' || queue
        )
      ), '[]')
    )::text as limited
    from limited`)
  return row && JSON.parse(row.limited)
}
