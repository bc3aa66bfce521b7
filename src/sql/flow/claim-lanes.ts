import { LANE } from '../../rules/lanes.ts'
import { type Execute, identifier } from '../statement.ts'
import { BYTES, MOST_BYTES } from '../worker/claim/size.ts'
import { IS_LANED } from './lane-index.ts'
import { CONCURRENCY } from './limits.ts'
import { isRunnable } from './pauses.ts'
import { isFitting } from './versions.ts'

/** How long a worker counts as waiting for a slot after it has asked last. */
const WANTED_FOR = '3 seconds'

/**
 * Creates the function that claims jobs of lanes. It is a function because each of its statements must see what others
 * have committed before: first it locks the limits, then it reads how many of their slots are free.
 *
 * A limit that is counted for each key, and that only one task has, is the limit of a single lane. The row of the lane is
 * locked anyway, so the limit is not.
 */
export async function createLanes(execute: Execute, own: string, schema: string): Promise<void> {
  const [engine, tables] = [identifier(schema).sql, identifier(own).sql]
  const fits = isFitting('job', { sql: 'known.versions' }).text
  await execute({
    text: `
create or replace function ${tables}.claim_lanes(
  me text, lanes int[], runs int[], tasks text[], task_versions jsonb, most_slots int, most_jobs int
) returns table (
  id bigint, job_queue_id int, task_id int, payload json, priority int2, run_at timestamptz, attempts int2, max_attempts int2,
  key text, created_at timestamptz, locked_at timestamptz, flags jsonb, last_error text, task_name text, slots int, spare int
) language plpgsql set jit = off as $function$
#variable_conflict use_column
declare
  known record;
  lane record;
  chosen record;
  free record;
  granted int;
  room bigint := ${MOST_BYTES};
begin
  select array_agg(task.id) as ids, jsonb_object_agg(task.id, task.identifier) as names,
    jsonb_object_agg(task.id, task_versions -> task.identifier) as versions
  into known
  from ${engine}._private_tasks task
  where task.identifier = any(tasks) and ${isRunnable(schema, 'task.identifier').sql};

  -- In the order of their names, so that two claims never wait for each other.
  perform from ${tables}.declared_limits limits
  where limits.name in (
    select limit_name
    from unnest(lanes) given (id)
    join ${engine}._private_job_queues queue on queue.id = given.id
    join ${tables}.definitions on definitions.name = split_part(queue.queue_name, ' ', 2),
    json_array_elements_text(definitions.definition -> 'limits') limit_name
  ) and (not is_keyed or name like 'limit %')
  order by name
  for update;

  for lane in
    select queue.id, given.run,
      substr(queue.queue_name, ${LANE.length + 2} + length(split_part(queue.queue_name, ' ', 2))) as key,
      (select coalesce(array_agg(limit_name), '{}') from json_array_elements_text(definitions.definition -> 'limits') limit_name) as limits
    from unnest(lanes, runs) with ordinality given (id, run, place)
    join ${engine}._private_job_queues queue on queue.id = given.id
    left join ${tables}.definitions on definitions.name = split_part(queue.queue_name, ' ', 2)
    order by given.place
    for update of queue skip locked
  loop
    exit when most_slots <= 0 or most_jobs <= 0 or room <= 0;
    -- A task that has no limits any more may still have jobs in lanes.
    select
      least(most_jobs, coalesce(min(limits.free - limits.wanted), most_jobs)) as slots,
      min(limits.free - limits.wanted) filter (where not is_keyed) <= 0 as are_all_used,
      coalesce(min(limits.free) > 0 and max(limits.wanted) > 0, false) as are_wanted,
      coalesce(bool_or(limits.is_shared), false) as are_shared
    into free
    from (
      select
        limits.name like 'limit %' as is_shared,
        limits.is_keyed,
        ${CONCURRENCY.sql} - held.used as free,
        case when limits.name like 'limit %' then (
          select count(distinct leases.worker) from ${tables}.leases
          where leases.limit_name = limits.name and leases.part = case when limits.is_keyed then lane.key else '' end
            and leases.worker <> me and leases.since > clock_timestamp() - interval '${WANTED_FOR}'
            and leases.wanted_at < coalesce(held.wanted_at, clock_timestamp())
        ) else 0 end as wanted
      from ${tables}.declared_limits limits
      cross join lateral (
        select coalesce(sum(leases.slots), 0) as used, min(leases.wanted_at) filter (where leases.worker = me) as wanted_at
        from ${tables}.leases
        where leases.limit_name = limits.name and leases.part = case when limits.is_keyed then lane.key else '' end
      ) held
      where limits.name = any(lane.limits)
    ) limits;
    granted := least(free.slots, most_slots);
    -- These slots are for workers that wait for longer.
    if free.are_wanted then perform pg_notify('jobs:insert', '{"count":1}'); end if;
    if granted <= 0 then
      if free.are_shared then
        insert into ${tables}.leases as leases (limit_name, part, worker, lane, slots, wanted_at)
        select limits.name, case when limits.is_keyed then lane.key else '' end, me, lane.id, 0, clock_timestamp()
        from ${tables}.declared_limits limits
        where limits.name = any(lane.limits) and limits.name like 'limit %' and exists (
          select from ${engine}._private_jobs job
          where job.job_queue_id = lane.id and ${IS_LANED.sql} and job.task_id = any(known.ids) and job.run_at <= now()
        )
        on conflict on constraint leases_pkey do update
        set since = excluded.since, wanted_at = coalesce(leases.wanted_at, excluded.wanted_at);
      end if;
      -- Any lane may get the next slot.
      if free.are_all_used then
        return query select null::bigint, lane.id, null::int, null::json, null::int2, null::timestamptz, null::int2, null::int2,
          null::text, null::timestamptz, null::timestamptz, null::jsonb, null::text, null::text, 0, 0;
      end if;
      continue;
    end if;

    select array_agg(found.id) as ids, count(*)::int as count, sum(found.bytes) as bytes into chosen
    from (
      select next.id, next.bytes, sum(next.bytes) over (order by next.place) - next.bytes as before
      from (
        select job.id, row_number() over () as place, ${BYTES} as bytes
        from (
          select job.id, job.payload
          from ${engine}._private_jobs job
          where job.job_queue_id = lane.id and ${IS_LANED.sql} and job.task_id = any(known.ids) and job.run_at <= now() and ${fits}
          order by job.priority, job.run_at, job.id
          limit least(granted * lane.run, most_jobs)
          for update skip locked
        ) job
      ) next
    ) found
    where found.before < room;
    continue when chosen.count = 0;

    granted := least(granted, chosen.count);
    insert into ${tables}.leases as leases (limit_name, part, worker, lane, slots)
    select limits.name, case when limits.is_keyed then lane.key else '' end, me, lane.id, granted
    from ${tables}.declared_limits limits
    where limits.name = any(lane.limits)
    on conflict on constraint leases_pkey do update
      set slots = leases.slots + excluded.slots, since = excluded.since, wanted_at = null;

    return query
      update ${engine}._private_jobs job
      set attempts = job.attempts + 1, locked_by = me, locked_at = now()
      where job.id = any(chosen.ids)
      returning
        job.id, job.job_queue_id, job.task_id, job.payload, job.priority, job.run_at, job.attempts, job.max_attempts, job.key,
        job.created_at, job.locked_at, job.flags, job.last_error, known.names ->> job.task_id::text, granted, (free.slots - granted)::int;
    most_slots := most_slots - granted;
    most_jobs := most_jobs - chosen.count;
    room := room - chosen.bytes;
  end loop;
end $function$`,
    values: []
  })
}
