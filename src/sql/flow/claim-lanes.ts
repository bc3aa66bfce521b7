import { LANE, SLOTS } from '../../rules/lanes.ts'
import { isUsers } from '../names.ts'
import { type Execute, identifier, statement } from '../statement.ts'
import { BYTES, MOST_BYTES } from '../worker/claim/size.ts'
import { IS_LANED } from './lane-index.ts'
import { CONCURRENCY } from './limits.ts'
import { isRunnable, pausedLanes, pausedQueues } from './pauses.ts'
import { areCounted, RATE_COUNT, RATE_PERIOD } from './rates.ts'
import { isFitting } from './versions.ts'

/** How many jobs of a lane with a rate a worker gets for each slot: few, since others cannot begin any of them meanwhile. */
const MOST_RATED = 5

/** When to try a lane again that has left what may begin now to others, in milliseconds. */
const SOON_MS = 25

/** How long a worker counts as waiting for a slot after it has asked last. */
const WANTED_FOR = '3 seconds'

/**
 * Creates the function that claims jobs of lanes. It is a function because each of its statements must see what others
 * have committed before: first it locks the limits, then it reads how many of their slots are free.
 *
 * A limit that is counted for each key, and that only one task has, is the limit of a single lane. The row of the lane is
 * locked anyway, so the limit is not.
 *
 * A limit with a rate leaves as many jobs as may begin now. The function counts them as begun at the latest time at which
 * they may begin, in a row of its own for each lane: number `first_number` is the one of the first lane.
 */
export async function createLanes(execute: Execute, own: string, schema: string): Promise<void> {
  const [engine, tables] = [identifier(schema).sql, identifier(own).sql]
  const fits = isFitting('job', { sql: 'known.versions' }).text
  // Its parameters stay, and its columns may change.
  await execute(statement`drop function if exists ${identifier(own)}.claim_lanes`)
  await execute({
    text: `
create function ${tables}.claim_lanes(
  me text, lanes int[], runs int[], tasks text[], task_versions jsonb, most_slots int, most_jobs int, first_number bigint,
  begin_within interval
) returns table (
  id bigint, job_queue_id int, task_id int, payload json, priority int2, run_at timestamptz, attempts int2, max_attempts int2,
  key text, created_at timestamptz, locked_at timestamptz, flags jsonb, last_error text, task_name text, slots int, spare int,
  is_longer bool, number bigint, ready_ms float8, lane_key text, queue_name text
) language plpgsql set jit = off as $function$
#variable_conflict use_column
declare
  known record;
  lane record;
  chosen record;
  free record;
  slots_flag text;
  granted int;
  most int;
  ready_in float8;
  room bigint := ${MOST_BYTES};
begin
  select array_agg(task.id) as ids, jsonb_object_agg(task.id, task.identifier) as names,
    jsonb_object_agg(task.id, task_versions -> task.identifier) as versions,
    array(${pausedLanes(schema).sql}) as paused_lanes
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
    where not ${IS_USERS}
  ) and (not is_keyed or name like 'limit %')
  order by name
  for update;

  for lane in
    select queue.id, given.run, given.place,
      case when ${IS_USERS} then queue.queue_name end as queue_name,
      case when ${IS_USERS} then '' else substr(queue.queue_name, ${LANE.length + 2} + length(split_part(queue.queue_name, ' ', 2))) end as key,
      case when ${IS_USERS} then array['queue ' || queue.queue_name] else (
        select coalesce(array_agg(limit_name), '{}') from json_array_elements_text(definitions.definition -> 'limits') limit_name
      ) end as limits
    from unnest(lanes, runs) with ordinality given (id, run, place)
    join ${engine}._private_job_queues queue on queue.id = given.id
    left join ${tables}.definitions on definitions.name = split_part(queue.queue_name, ' ', 2) and not ${IS_USERS}
    where queue.id <> all(known.paused_lanes)
      and not (${IS_USERS} and queue.queue_name in (${pausedQueues(schema).sql}))
    order by given.place
    for update of queue skip locked
  loop
    exit when most_slots <= 0 or most_jobs <= 0 or room <= 0;
    slots_flag := null;
    if lane.queue_name is not null then
      -- The next job of a queue says how many of them run at the same time.
      select flag into slots_flag
      from (
        select job.flags
        from ${engine}._private_jobs job
        where job.job_queue_id = lane.id and ${IS_LANED.sql} and job.task_id = any(known.ids) and job.run_at <= now() and ${fits}
        order by job.priority, job.run_at, job.id
        limit 1
      ) job, jsonb_object_keys(job.flags) flag
      where flag ~ '^${SLOTS}[1-9][0-9]{0,6}$';
      continue when slots_flag is null;
      -- Without a lock, which registrations of limits take in another order: claims of the same queue wait for its row.
      perform from ${tables}.declared_limits limits
      where limits.name = lane.limits[1] and limits.concurrency = ${SLOTS_OF_QUEUE};
      if not found then
        insert into ${tables}.declared_limits (name, concurrency, is_keyed) values (lane.limits[1], ${SLOTS_OF_QUEUE}, false)
        on conflict on constraint declared_limits_pkey do update set concurrency = excluded.concurrency;
      end if;
    end if;
    -- A task that has no limits any more may still have jobs in lanes.
    select
      least(most_jobs, coalesce(min(least(share.slots, share.begins)), most_jobs)) as slots,
      min(share.begins) as begins,
      coalesce(bool_or(limits.is_rated), false) as is_rated,
      coalesce(min(least(share.slots, share.begins)) filter (where not limits.is_keyed) <= 0, false) as are_all_used,
      coalesce(min(least(limits.slots, limits.begins)) > 0 and bool_or(limits.slots > 0 and limits.wanted > 0), false) as are_wanted,
      coalesce(bool_or(limits.is_shared), false) as are_shared,
      -- A lane that waits for a slot as well does not know when it is ready.
      case when min(share.slots) <= 0 then null else max(coalesce(limits.ready_ms, case when share.begins <= 0 then ${SOON_MS} end)) end as ready_ms
    into free
    from (
      select
        limits.name like 'limit %' as is_shared,
        limits.is_keyed or limits.name like 'queue %' as is_keyed,
        ${RATE_COUNT.sql} is not null as is_rated,
        ${CONCURRENCY.sql} - held.used as slots,
        case when holds.until is not null then 0 else ${RATE_COUNT.sql} - starts.count end as begins,
        ${toMs(`greatest(holds.until, case when starts.count >= ${RATE_COUNT.sql} then starts.first + ${RATE_PERIOD.sql} end)`)} as ready_ms,
        case when limits.name like 'limit %' then (
          select count(distinct leases.worker) from ${tables}.leases
          where leases.limit_name = limits.name and leases.part = part.name
            and leases.worker <> me and leases.since > clock_timestamp() - interval '${WANTED_FOR}'
            and leases.wanted_at < coalesce(held.wanted_at, clock_timestamp())
        ) else 0 end as wanted
      from ${tables}.declared_limits limits
      cross join lateral (select case when limits.is_keyed then lane.key else '' end as name) part
      cross join lateral (
        select coalesce(sum(leases.slots), 0) as used, min(leases.wanted_at) filter (where leases.worker = me) as wanted_at
        from ${tables}.leases
        where leases.limit_name = limits.name and leases.part = part.name
      ) held
      cross join lateral (
        select coalesce(sum(starts.count), 0) as count, ${FIRST} as first
        from ${tables}.starts
        where ${RATE_COUNT.sql} is not null and ${areCounted('part.name').sql}
      ) starts
      left join ${tables}.holds on holds.limit_name = limits.name and holds.part = part.name and holds.until > clock_timestamp()
      where limits.name = any(lane.limits)
    ) limits
    -- Workers that wait for longer get the next slots. Of the jobs that may begin, each worker gets as many.
    cross join lateral (
      select
        limits.slots - limits.wanted as slots,
        case
          when limits.begins > limits.wanted then ceil(limits.begins / (1.0 + limits.wanted))
          when limits.begins is not null then 0
        end as begins
    ) share;
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
      -- Any lane may get the next slot, or the worker knows when to try this one again.
      if free.are_all_used or free.ready_ms is not null then
        return query select null::bigint, lane.id, null::int, null::json, null::int2, null::timestamptz, null::int2, null::int2,
          null::text, null::timestamptz, null::timestamptz, null::jsonb, null::text, null::text, 0, 0, false, null::bigint,
          free.ready_ms, lane.key, lane.queue_name;
      end if;
      continue;
    end if;

    most := least(granted * case when free.is_rated then least(lane.run, ${MOST_RATED}) else lane.run end, most_jobs, free.begins);
    select array_agg(found.id) as ids, count(*)::int as count, sum(found.bytes) as bytes into chosen
    from (
      select next.id, next.bytes, sum(next.bytes) over (order by next.place) - next.bytes as before
      from (
        select job.id, row_number() over () as place, ${BYTES} as bytes
        from (
          select job.id, job.payload
          from ${engine}._private_jobs job
          where job.job_queue_id = lane.id and ${IS_LANED.sql} and job.task_id = any(known.ids) and job.run_at <= now() and ${fits}
            and (slots_flag is null or job.flags ? slots_flag)
          order by job.priority, job.run_at, job.id
          limit most
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

    ready_in := null;
    if free.is_rated then
      delete from ${tables}.starts where ctid = any(array(
        select starts.ctid
        from ${tables}.starts
        join ${tables}.declared_limits limits on limits.name = starts.limit_name
        where limits.name = any(lane.limits) and starts.part = case when limits.is_keyed then lane.key else '' end
          and starts.at < clock_timestamp() - ${RATE_PERIOD.sql}
        for update of starts skip locked
      ));
      insert into ${tables}.starts (limit_name, part, worker, number, count, at)
      select limits.name, case when limits.is_keyed then lane.key else '' end, me, first_number + lane.place, chosen.count,
        clock_timestamp() + begin_within
      from ${tables}.declared_limits limits
      where limits.name = any(lane.limits) and ${RATE_COUNT.sql} is not null;
      if chosen.count >= free.begins then
        select max(rate.ready_ms) into ready_in
        from ${tables}.declared_limits limits
        cross join lateral (
          select ${toMs(`${FIRST} + ${RATE_PERIOD.sql}`)} as ready_ms, sum(starts.count) as count
          from ${tables}.starts
          where ${areCounted("case when limits.is_keyed then lane.key else '' end").sql}
        ) rate
        where limits.name = any(lane.limits) and rate.count >= ${RATE_COUNT.sql};
        ready_in := coalesce(ready_in, ${SOON_MS});
      end if;
    end if;

    return query
      update ${engine}._private_jobs job
      set attempts = job.attempts + 1, locked_by = me, locked_at = now()
      where job.id = any(chosen.ids)
      returning
        job.id, job.job_queue_id, job.task_id, job.payload, job.priority, job.run_at, job.attempts, job.max_attempts, job.key,
        job.created_at, job.locked_at, job.flags, job.last_error, known.names ->> job.task_id::text, granted, (free.slots - granted)::int,
        chosen.count >= most, case when free.is_rated then first_number + lane.place end, ready_in, lane.key,
        lane.queue_name;
    most_slots := most_slots - granted;
    most_jobs := most_jobs - chosen.count;
    room := room - chosen.bytes;
  end loop;
end $function$`,
    values: []
  })
}

/** Whether a queue is one of the user's, with a concurrency. */
const IS_USERS = `(${isUsers('queue').sql})`

/** The number of the flag of a job. */
const SLOTS_OF_QUEUE = `substr(slots_flag, ${SLOTS.length + 1})::int`

/** When the first of the counted jobs has begun, or may have. A row of a worker has the latest time for that. */
const FIRST = "min(case when starts.worker = '' then starts.at else starts.at - begin_within end)"

/** In how many milliseconds a time comes. */
function toMs(time: string): string {
  return `(extract(epoch from ${time} - clock_timestamp()) * 1000)::float8`
}
