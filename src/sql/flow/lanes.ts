import { ownSchema } from '../names.ts'
import { type Execute, type Fragment, identifier, type Statement, statement, textArray } from '../statement.ts'
import type { ClaimedJob } from '../worker/claim.ts'
import { type Choice, choosing, isChosenLane, valuesOf } from './choice.ts'
import { IS_LANED } from './lane-index.ts'
import { CONCURRENCY } from './limits.ts'

/**
 * A job of a lane. A row without an id is of a lane that has left nothing: all slots of a limit for all its keys are in use, and
 * it may get the next one, or it is known when its jobs may begin.
 */
export interface LaneJob extends Omit<ClaimedJob, 'id'> {
  readonly id: string | null
  /** How many slots the worker has got for the jobs of this lane that it has got. */
  readonly slots: number
  /** How many more slots of the lane are free. */
  readonly spare: number
  /** Whether the lane may have more jobs than the worker has got. */
  readonly is_longer: boolean
  /** If the lane has a rate, the number of the row that counts these jobs as begun. */
  readonly number: string | null
  /** If no more jobs of the lane may begin now: in how many milliseconds the next one may. */
  readonly ready_ms: number | null
  /** The key of the lane; empty without keys. */
  readonly lane_key: string
}

/** What a claim of lanes asks for. */
export interface LanesRequest {
  readonly worker: string
  /** The ids of the lanes, in the order in which it is their turn. */
  readonly lanes: readonly number[]
  readonly choice: Choice
  /** The maximum number of slots, of all lanes together. */
  readonly slots: number
  /** The maximum number of jobs, of all lanes together. */
  readonly jobs: number
  /** The maximum number of jobs for each slot. */
  readonly run: number
  /** The maximum number of jobs for each slot of slow lanes, by the id of the lane. */
  readonly most: ReadonlyMap<number, number>
  /** The jobs of the lanes are counted in rows with the numbers after this one. */
  readonly number: number
  /** How many milliseconds after the claim a job with a rate may begin, if it has not begun earlier. */
  readonly beginWithinMs: number
}

/** Claims jobs of lanes, as many as their limits leave room for. */
export function claimLanes(schema: string, request: LanesRequest): Statement {
  const { worker, lanes, choice, slots, jobs, run, most, number, beginWithinMs } = request
  const slow = lanes.map(lane => most.get(lane) ?? run)
  return {
    ...statement`
    select *, null::json as rest
    from ${identifier(ownSchema(schema))}.claim_lanes(
      ${worker}::text, ${textArray(lanes)}::text::int[], ${textArray(slow)}::text::int[], ${textArray(choice.tasks)}::text::text[],
      ${JSON.stringify(choice.versions)}::text::jsonb, ${slots}::text::int, ${jobs}::text::int,
      ${number}::text::bigint, ${beginWithinMs}::text::float8 * interval '1 millisecond'
    )
    order by job_queue_id, priority, run_at, id`,
    name: 'kretes_claim_lanes'
  }
}

/**
 * Lets a worker have so many slots of each of these lanes from now on, and wakes workers that wait for slots of shared
 * limits.
 */
export function releaseLanes(
  schema: string,
  worker: string,
  lanes: readonly { readonly id: number; readonly slots: number }[]
): Statement {
  const tables = identifier(ownSchema(schema)).sql
  const leases: Fragment = { sql: `${tables}.leases` }
  const limits: Fragment = { sql: `${tables}.declared_limits` }
  return {
    ...statement`
    with left_over (lane, slots) as (
      select * from unnest(${textArray(lanes.map(({ id }) => id))}::text::int[], ${textArray(lanes.map(({ slots }) => slots))}::text::int[])
    ), over as (
      delete from ${leases}
      using left_over
      where leases.worker = ${worker}::text and leases.lane = left_over.lane and left_over.slots = 0
    ), fewer as (
      update ${leases} leases
      set slots = left_over.slots
      from left_over
      where leases.worker = ${worker}::text and leases.lane = left_over.lane and left_over.slots > 0
    )
    select pg_notify('jobs:insert', '{"count":1}')
    where exists (
      select from left_over
      join ${leases} leases on leases.worker = ${worker}::text and leases.lane = left_over.lane
      join ${leases} others on others.limit_name = leases.limit_name and others.part = leases.part
      join ${limits} limits on limits.name = leases.limit_name and ${CONCURRENCY} is not null
      where leases.limit_name like 'limit %' and others.worker <> leases.worker
        and others.wanted_at is not null and others.since > now() - interval '10 seconds'
    )`,
    name: 'kretes_release_lanes'
  }
}

/** Removes the leases of a worker for other lanes than these. */
export async function releaseOtherLanes(
  execute: Execute,
  schema: string,
  worker: string,
  lanes: readonly number[]
): Promise<void> {
  await execute(statement`
    delete from ${identifier(ownSchema(schema))}.leases
    where worker = ${worker}::text and lane <> all(${textArray(lanes)}::text::int[])`)
}

/**
 * Finds lanes with due jobs that a worker may run, in the order of their ids, from after a lane on. The index leads from
 * one lane to the next, so the number of jobs does not matter.
 */
export function findLanes(schema: string, choice: Choice, { after, most }: { after: number; most: number }): Statement {
  const jobs: Fragment = { sql: `${identifier(schema).sql}._private_jobs job` }
  return {
    ...statement`
    with recursive ${choosing(schema, choice.queues, valuesOf(choice))}, lane (id) as (
      (select job_queue_id from ${jobs} where ${IS_LANED} and job_queue_id > ${after}::text::int order by job_queue_id limit 1)
      union all
      select (select job_queue_id from ${jobs} where ${IS_LANED} and job_queue_id > lane.id order by job_queue_id limit 1)
      from lane where lane.id is not null
    )
    select lane.id
    from lane
    where lane.id is not null and ${isChosenLane(schema, choice.queues, 'lane.id')} and exists (
      select from ${jobs}
      where job.job_queue_id = lane.id and ${IS_LANED} and job.run_at <= now() and job.task_id = any((select ids from known)::int[])
    )
    limit ${most}::text::int`,
    name: `kretes_find_lanes_${choice.queues.kind}`
  }
}
