import { LIMITED } from '../../rules/lanes.ts'
import { ownSchema } from '../names.ts'
import { type Access, identifier, statement } from '../statement.ts'
import { IS_LANED, limitKey } from './lane-index.ts'
import { CONCURRENCY } from './limits.ts'

/** A limit of a job. */
export interface LimitOfJob {
  /** Its kind and its name. */
  readonly name: string
  readonly isKeyed: boolean
  readonly concurrency: number
  readonly used: number
  /** The workers that use slots, those with the most first. */
  readonly workers: readonly string[]
}

/** What the limits of a job leave. */
export interface LimitedJob {
  readonly key: string | null
  /** How many due jobs of the same task and key come before it. */
  readonly before: number
  readonly limits: readonly LimitOfJob[]
}

/** Reads the limits of a job in a lane. Returns `undefined` for other jobs. */
export async function readLimitsOf({ execute, schema }: Access, id: string): Promise<LimitedJob | undefined> {
  const [engine, own] = [identifier(schema), identifier(ownSchema(schema))]
  const [row] = await execute<{ limited: string }>(statement`
    with limited as materialized (
      select job.*, task.identifier as task, ${limitKey(schema)} as limit_key
      from ${engine}._private_jobs job
      join ${engine}._private_tasks task on task.id = job.task_id
      where job.id = ${id}::text::bigint and (job.flags -> '${{ sql: LIMITED }}') is not null
    )
    select json_build_object(
      'key', limit_key,
      'before', (
        select count(*) from ${engine}._private_jobs job
        where job.job_queue_id = limited.job_queue_id and ${IS_LANED} and job.run_at <= now()
          and (job.priority, job.run_at, job.id) < (limited.priority, limited.run_at, limited.id)
      ),
      'limits', coalesce((
        select json_agg(json_build_object(
          'name', limits.name, 'isKeyed', is_keyed, 'concurrency', ${CONCURRENCY}, 'used', held.used, 'workers', held.workers
        ) order by limits.name)
        from ${own}.declared_limits limits, lateral (
          select
            coalesce(sum(slots), 0) as used,
            coalesce(json_agg(worker order by slots desc, worker), '[]') as workers
          from (
            select worker, sum(slots) as slots from ${own}.leases
            where slots > 0 and limit_name = limits.name and part = case when is_keyed then coalesce(limit_key, '') else '' end
            group by worker
          ) held
        ) held
        where limits.name in (
          select json_array_elements_text(definition -> 'limits') from ${own}.definitions where definitions.name = limited.task
        )
      ), '[]')
    )::text as limited
    from limited`)
  return row && JSON.parse(row.limited)
}
