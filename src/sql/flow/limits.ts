import type { Rate, RateParts } from '../../rules/rates.ts'
import { isUsers, ownSchema } from '../names.ts'
import { type Access, type Execute, type Fragment, identifier, statement, textArray } from '../statement.ts'
import { dueSince } from '../times.ts'
import { notifyWorkers } from '../worker/notify.ts'
import { IS_LANED } from './lane-index.ts'
import { areCounted, LIMITS_CHANNEL, RATE_COUNT } from './rates.ts'

/** A limit that a worker registers. */
export interface LimitRow {
  /** Its kind and its name. */
  readonly name: string
  readonly concurrency: number | null
  readonly rate: RateParts | null
  readonly isKeyed: boolean
}

/**
 * Creates the tables of limits and of their slots. A lease is the right of a worker to run as many jobs of a lane at the
 * same time as the lease has slots. The leases of a worker that is lost are removed when its jobs are released.
 *
 * A worker that has got no slot of a shared limit says so with a lease that has the time `wanted_at`, and with no slots if it
 * has none. It repeats that while it waits, and then `since` is the last time.
 */
export async function createLimits(execute: Execute, own: string): Promise<void> {
  const schema = identifier(own)
  await execute(statement`
    create table if not exists ${schema}.declared_limits (
      name text primary key,
      concurrency integer not null,
      is_keyed boolean not null,
      set_concurrency integer check (set_concurrency > 0),
      set_at timestamptz
    )`)
  await execute(statement`
    create table if not exists ${schema}.leases (
      limit_name text not null,
      part text not null,
      worker text not null,
      lane integer not null,
      slots integer not null,
      since timestamptz not null default clock_timestamp(),
      wanted_at timestamptz,
      primary key (limit_name, part, worker, lane)
    )`)
  await execute(statement`create index if not exists leases_worker on ${schema}.leases (worker, lane)`)
}

/** Registers limits. The latest worker wins. What was set at run time stays. */
export async function registerLimits(execute: Execute, schema: string, limits: readonly LimitRow[]): Promise<void> {
  if (limits.length === 0) return
  await execute(statement`
    insert into ${identifier(ownSchema(schema))}.declared_limits as limits (name, concurrency, rate_count, rate_ms, is_keyed)
    select distinct on (item ->> 'name')
      item ->> 'name', (item ->> 'concurrency')::int, (item #>> '{rate, count}')::int, (item #>> '{rate, periodMs}')::bigint,
      (item ->> 'isKeyed')::bool
    from json_array_elements(${JSON.stringify(limits)}::text::json) item
    order by 1
    on conflict (name) do update
      set concurrency = excluded.concurrency, rate_count = excluded.rate_count, rate_ms = excluded.rate_ms,
        is_keyed = excluded.is_keyed
    where (limits.concurrency, limits.rate_count, limits.rate_ms, limits.is_keyed)
      is distinct from (excluded.concurrency, excluded.rate_count, excluded.rate_ms, excluded.is_keyed)`)
}

/** The number of slots of a row of `limits`. */
export const CONCURRENCY: Fragment = { sql: 'coalesce(limits.set_concurrency, limits.concurrency)' }

/** The rate of a row of `limits` as text, such as `100/min`; `null` without one. */
export const RATE_TEXT: Fragment = rateText(RATE_COUNT.sql, 'coalesce(limits.set_rate_ms, limits.rate_ms)')

/** A row of the view `limits`, as JSON. */
export interface LimitStateRow {
  readonly kind: 'task' | 'shared' | 'queue'
  readonly name: string
  readonly perKey: boolean
  readonly concurrency: number | null
  readonly rate: Rate | null
  readonly declaredConcurrency: number | null
  readonly declaredRate: Rate | null
  readonly setAt: string | null
  readonly heldUntil: string | null
  readonly used: number
  readonly begun: number | null
  readonly keys: number
  readonly waiting: number
  /** How long the oldest of the waiting jobs has been due; `null` if none waits. */
  readonly oldestMs: number | null
}

/** Creates the view of the limits. */
export async function createLimitsView(execute: Execute, own: string, engine: string): Promise<void> {
  const tables = identifier(own)
  await execute(statement`
    create view ${tables}.limits as
    with of_tasks as (
      select definitions.name as task, limit_name as name
      from ${tables}.definitions, json_array_elements_text(definition -> 'limits') limit_name
    ), due as materialized (
      select task_id, job_queue_id, count(*) as jobs, min(${{ sql: dueSince('run_at', 'created_at') }}) as oldest
      from ${identifier(engine)}._private_jobs job
      where ${IS_LANED} and run_at <= now()
      group by task_id, job_queue_id
    ), waiting as (
      select name, sum(jobs) as jobs, min(oldest) as oldest
      from (
        select of_tasks.name, jobs, oldest
        from due
        join ${identifier(engine)}._private_tasks task on task.id = due.task_id
        join of_tasks on of_tasks.task = task.identifier
        union all
        select 'queue ' || queue.queue_name, jobs, oldest
        from due
        join ${identifier(engine)}._private_job_queues queue on queue.id = due.job_queue_id
        where ${isUsers('queue')}
      ) due
      group by name
    ), held as (
      select limit_name as name, sum(slots) as used, count(distinct part) as keys from ${tables}.leases where slots > 0 group by limit_name
    ), begun as (
      select limits.name, sum(starts.count) as begun
      from ${tables}.declared_limits limits
      join ${tables}.starts on ${areCounted('starts.part')}
      group by limits.name
    ), holds as (
      select limit_name as name, max(until) as until from ${tables}.holds where until > now() group by limit_name
    )
    select
      case split_part(limits.name, ' ', 1) when 'limit' then 'shared' when 'queue' then 'queue' else 'task' end as kind,
      substr(limits.name, strpos(limits.name, ' ') + 1) as name,
      is_keyed as per_key,
      ${CONCURRENCY} as concurrency,
      ${RATE_TEXT} as rate,
      limits.concurrency as declared_concurrency,
      ${rateText('limits.rate_count', 'limits.rate_ms')} as declared_rate,
      set_at,
      until as held_until,
      coalesce(used, 0) as used,
      case when is_keyed then coalesce(keys, 0) end as keys_used,
      case when ${RATE_COUNT} is not null then coalesce(begun, 0) end as begun,
      coalesce(jobs, 0) as waiting,
      now() - oldest as oldest_waiting
    from ${tables}.declared_limits limits
    left join waiting using (name)
    left join held using (name)
    left join begun using (name)
    left join holds using (name)
    where limits.name in (select of_tasks.name from of_tasks) or (
      limits.name like 'queue %' and (
        set_at is not null or jobs > 0 or used > 0 or limits.name in (
          select 'queue ' || (definition ->> 'queue') from ${tables}.definitions where definition ->> 'queueConcurrency' is not null
        )
      )
    )`)
}

function rateText(count: string, ms: string): Fragment {
  return {
    sql: `${count} || '/' || case
        when ${ms} = 1000 then 's'
        when ${ms} = 60000 then 'min'
        when ${ms} = 3600000 then 'h'
        when ${ms} = 86400000 then 'd'
        when ${ms} % 86400000 = 0 then ${ms} / 86400000 || 'd'
        when ${ms} % 3600000 = 0 then ${ms} / 3600000 || 'h'
        when ${ms} % 60000 = 0 then ${ms} / 60000 || 'min'
        when ${ms} % 1000 = 0 then ${ms} / 1000 || 's'
        else ${ms} || 'ms'
      end`
  }
}

/** Lists the limits: those of queues first, then shared ones. */
export async function listLimits({ execute, schema }: Access): Promise<readonly LimitStateRow[]> {
  const [row] = await execute<{ limits: string }>(statement`
    select coalesce(json_agg(${AS_JSON} order by kind, name, per_key), '[]')::text as limits
    from ${identifier(ownSchema(schema))}.limits`)
  return JSON.parse(row!.limits)
}

/** What to set a limit to. What is `undefined` stays. */
export interface LimitSetting {
  readonly concurrency?: number | undefined
  readonly rate?: RateParts | undefined
}

/**
 * Sets a limit, or takes that back and ends its holds, and tells the workers. Returns the names among the given ones that
 * exist. If there is not exactly one, nothing has happened.
 *
 * @param setting `null` for what the code declares
 */
export async function setLimit(
  { execute, schema }: Access,
  names: readonly string[],
  setting: LimitSetting | null
): Promise<readonly string[]> {
  const { concurrency = null, rate = null } = setting ?? {}
  const isReset: Fragment = { sql: String(setting === null) }
  const [row] = await execute<{ names: string }>(statement`
    with found as materialized (
      select name from ${identifier(ownSchema(schema))}.declared_limits
      where name = any(${textArray(names)}::text::text[]) and (name like 'queue %' or name in (
        select json_array_elements_text(definition -> 'limits') from ${identifier(ownSchema(schema))}.definitions
      ))
    ), changed as (
      update ${identifier(ownSchema(schema))}.declared_limits limits
      set
        set_concurrency = case when not ${isReset} then coalesce(${concurrency}::text::int, set_concurrency) end,
        set_rate_count = case when not ${isReset} then coalesce(${rate?.count ?? null}::text::int, set_rate_count) end,
        set_rate_ms = case when not ${isReset} then coalesce(${rate?.periodMs ?? null}::text::bigint, set_rate_ms) end,
        set_at = case when not ${isReset} then clock_timestamp() end
      where name in (select name from found) and 1 = (select count(*) from found)
    ), ended as (
      delete from ${identifier(ownSchema(schema))}.holds
      where ${isReset} and limit_name in (select name from found) and 1 = (select count(*) from found)
    )
    select coalesce(json_agg(name), '[]')::text as names from found`)
  const found: string[] = JSON.parse(row!.names)
  if (found.length === 1) {
    await notifyWorkers(execute, 1)
    await execute(statement`select pg_notify(${LIMITS_CHANNEL}::text, '')`)
  }
  return found
}

/** How many jobs of a queue run at the same time, as the last job or worker has said; `null` if they run one after another. */
export async function readQueueConcurrency({ execute, schema }: Access, queue: string): Promise<number | null> {
  const [row] = await execute<{ concurrency: number }>(statement`
    select concurrency from ${identifier(ownSchema(schema))}.declared_limits where name = ${`queue ${queue}`}::text`)
  return row?.concurrency ?? null
}

/** Counts the slots that each worker has, of the limit of which it has the most. */
export async function readLeases({ execute, schema }: Access): Promise<readonly { worker: string; slots: number }[]> {
  const rows = await execute<{ worker: string; slots: string }>(statement`
    select worker, max(slots)::text as slots
    from (
      select worker, limit_name, sum(slots) as slots from ${identifier(ownSchema(schema))}.leases where slots > 0 group by 1, 2
    ) held
    group by worker
    order by worker`)
  return rows.map(({ worker, slots }) => ({ worker, slots: Number(slots) }))
}

const AS_JSON: Fragment = {
  sql: `json_build_object(
      'kind', kind, 'name', name, 'perKey', per_key, 'concurrency', concurrency, 'rate', rate,
      'declaredConcurrency', declared_concurrency, 'declaredRate', declared_rate, 'setAt', set_at, 'heldUntil', held_until,
      'used', used, 'keys', coalesce(keys_used, 0), 'begun', begun, 'waiting', waiting,
      'oldestMs', extract(epoch from oldest_waiting) * 1000
    )`
}
