import type { Retention } from '../../rules/retention.ts'
import { JOB_COLUMNS, KEEPS_ALL, recording } from '../ledger/record.ts'
import { ATTEMPTS, ownSchema } from '../names.ts'
import { type Connections, type Execute, type Fragment, identifier, statement, textArray } from '../statement.ts'
import { notifyWorkers } from './control.ts'

/** A worker as its peers and people see it. */
export interface Registration {
  readonly id: string
  readonly host: string
  readonly pid: number
  readonly concurrency: number
  /** The names of the tasks that it runs. */
  readonly tasks: readonly string[]
  /** For how long it keeps runs; `null` if it records none. */
  readonly retention: Retention | null
}

/** The result of a beat. */
export interface Beat {
  /** Whether the worker is still registered. If not, a peer has taken it for dead and has given its jobs to others. */
  readonly isRegistered: boolean
  /** Whether the session holds the worker's lock now. It does not while a former session does, and ends. */
  readonly isLocked: boolean
  /** Workers whose last beat is old. They are dead if their lock is free. */
  readonly stale: readonly string[]
}

/**
 * Registers a worker, so that its peers can tell its jobs from those of a process that is no worker of ours. What workers
 * that were lost have told of runs which are over goes on the way.
 */
export async function registerWorker(execute: Execute, schema: string, registration: Registration): Promise<void> {
  const { id, host, pid, concurrency, tasks, retention } = registration
  const own = ownSchema(schema)
  await execute(statement`
    with forgotten as (
      delete from ${identifier(own)}.progress
      where not exists (
        select from ${identifier(schema)}._private_jobs job where job.id = progress.job_id and job.locked_at is not null
      )
    )
    insert into ${identifier(own)}.workers (id, host, pid, concurrency, tasks, retention)
    values (
      ${id}::text,
      ${host}::text,
      ${pid}::text::int,
      ${concurrency}::text::int,
      ${textArray(tasks)}::text::text[],
      ${retention && JSON.stringify(retention)}::text::json
    )
    on conflict (id) do update set beat_at = now()`)
}

/** Takes a worker that has let go of its jobs off the register, and unlocks what queues it may have left locked. */
export async function unregisterWorker(execute: Execute, schema: string, id: string): Promise<void> {
  await execute(statement`
    with unlocked as (
      update ${identifier(schema)}._private_job_queues set locked_at = null, locked_by = null where locked_by = ${id}::text
    )
    delete from ${identifier(ownSchema(schema))}.workers where id = ${id}::text`)
}

/**
 * Shows that a worker lives: writes the time, and holds its lock in this session, taking it again if the session is new.
 * The server is told to notice a dead peer within half a minute, for else its lock would outlive a broken network.
 */
export async function beat(execute: Execute, schema: string, id: string, staleAfterMs: number): Promise<Beat> {
  const [row] = await execute<{ lock: string | null; held: string; stale: string | null }>(statement`
    with beat as (
      update ${identifier(ownSchema(schema))}.workers set beat_at = now() where id = ${id}::text returning lock_id
    )
    select
      (select lock_id::text from beat) as lock,
      (exists (
        select from pg_locks
        where locktype = 'advisory' and pid = pg_backend_pid() and classid = ${lockClass(schema)}::text::oid and objid = (select lock_id from beat)
      ))::text as held,
      (
        select string_agg(id, ',') from ${identifier(ownSchema(schema))}.workers
        where beat_at < now() - ${staleAfterMs}::text::float8 * interval '1 millisecond' and id <> ${id}::text
      ) as stale`)
  if (!row || row.lock === null) return { isRegistered: false, isLocked: false, stale: [] }
  let isLocked = row.held === 'true'
  if (!isLocked) {
    // After a connection has hung, its session may live on at the server and hold the lock: ours, then, is refused.
    await execute(statement`
      select pg_terminate_backend(pid)
      from pg_locks join pg_stat_activity using (pid)
      where locktype = 'advisory' and classid = ${lockClass(schema)}::text::oid and objid = ${row.lock}::text::oid and granted
        and database = (select oid from pg_database where datname = current_database())
        and application_name = current_setting('application_name')`)
    const [taken] = await execute<{ locked: string }>(statement`
      select
        pg_try_advisory_lock(${lockClass(schema)}::text::int, ${row.lock}::text::int)::text as locked,
        set_config('tcp_keepalives_idle', '10', false),
        set_config('tcp_keepalives_interval', '5', false),
        set_config('tcp_keepalives_count', '3', false),
        set_config('idle_session_timeout', '0', false)`)
    isLocked = taken?.locked === 'true'
  }
  return { isRegistered: true, isLocked, stale: row.stale?.split(',') ?? [] }
}

/** What happened to the jobs of a dead worker. */
export interface Rescue {
  /** How many wait again. */
  readonly rescued: number
  /** Those that were running each time a worker was lost, too often to be tried again. */
  readonly failed: readonly string[]
}

/**
 * Gives the jobs of a dead worker back, or returns `null` if it lives after all: it has shown itself, or
 * somebody holds its lock.
 *
 * A lost run costs no attempt. At first it is unknown which job took the worker down, so from then on each is
 * marked before it runs (see {@linkcode markStarted}), and only those so marked count a further loss. The marks are in
 * the job's `flags`, which the engine hands over with the job: other jobs pay nothing for it. A mark belongs to the lock
 * under which it was made, and means nothing once the run has ended and the job is locked anew.
 */
export async function rescueJobs(
  { transact }: Connections,
  schema: string,
  id: string,
  { staleAfterMs, maxLosses }: { readonly staleAfterMs: number; readonly maxLosses: number }
): Promise<Rescue | null> {
  return await transact(async execute => {
    // The worker may have come back meanwhile. While its row is locked here, it cannot. A row that is already locked is
    // skipped: the worker itself has locked it, or a peer that rescues its jobs.
    const [worker] = await execute<{ dead: string }>(statement`
      with stale as materialized (
        select lock_id from ${identifier(ownSchema(schema))}.workers
        where id = ${id}::text and beat_at < now() - ${staleAfterMs}::text::float8 * interval '1 millisecond'
        for update skip locked
      )
      select pg_try_advisory_xact_lock(${lockClass(schema)}::text::int, lock_id)::text as dead from stale`)
    if (worker?.dead !== 'true') return null
    const reason = `Lost ${maxLosses} workers: the process that ran it ended each time`
    const most: Fragment = { sql: String(maxLosses) }
    const rows = await execute<{ id: string; losses: string }>(statement`
      with held as materialized (
        select
          *,
          flags ->> ${STARTED}::text = ${LOCK} as has_begun,
          case jsonb_typeof(flags -> ${LOST}::text) when 'number' then greatest(0, least((flags ->> ${LOST}::text)::numeric, ${most}))::int else 0 end as lost
        from ${identifier(schema)}._private_jobs where locked_by = ${id}::text order by id for update
      ), freed as (
        update ${identifier(schema)}._private_jobs job
        set
          locked_at = null,
          locked_by = null,
          attempts = greatest(0, job.attempts - 1),
          flags = (coalesce(job.flags, '{}') - ${STARTED}::text)
            || jsonb_build_object(${LOST}::text, case when held.has_begun then held.lost + 1 else greatest(1, held.lost) end)
        from held
        where job.id = held.id
        returning job.id, (job.flags ->> ${LOST}::text)::int as losses
      ), ended as (
        select
          ${JOB_COLUMNS},
          'lost' as run_state,
          job.attempts as run_attempt,
          case when job.id = any(running) or job.has_begun then
            date_part('epoch', now() - job.locked_at) * 1000
          end as duration,
          0 as ago,
          case when losses >= ${most} then
            json_build_object('name', 'Error', 'message', ${reason}::text)::text
          end as error,
          null::text as result,
          null::text as problem,
          null::text as payload,
          null::text as log,
          losses >= ${most} as is_over
        from held job
        join freed using (id),
        (select running from ${identifier(ownSchema(schema))}.workers where id = ${id}::text) worker
      ), ${recording(schema, KEEPS_ALL, { mayLackPartition: true })}
      select id::text as id, losses::text as losses, (select count(*) from told)::text as told from freed`)
    const jobs = rows.map(({ id, losses }) => ({ id, losses: Number(losses) }))
    const failed = jobs.filter(({ losses }) => losses >= maxLosses).map(job => job.id)
    if (failed.length > 0) {
      await execute(statement`
        update ${identifier(schema)}._private_jobs
        set
          last_error = ${reason}::text,
          flags = flags || jsonb_build_object(${ATTEMPTS}::text, attempts + 1),
          attempts = max_attempts,
          updated_at = now()
        where id = any(${textArray(failed)}::text::bigint[])`)
    }
    await execute(statement`select ${identifier(schema)}.force_unlock_workers(array[${id}::text])`)
    await execute(statement`delete from ${identifier(ownSchema(schema))}.workers where id = ${id}::text`)
    await notifyWorkers(execute, jobs.length)
    return { rescued: jobs.length - failed.length, failed }
  })
}

/** Writes that a job which was lost before is about to run, so that it is blamed if this worker is lost with this run. */
export async function markStarted(execute: Execute, schema: string, job: string, worker: string): Promise<void> {
  await execute(statement`
    update ${identifier(schema)}._private_jobs
    set flags = flags || jsonb_build_object(${STARTED}::text, ${LOCK})
    where id = ${job}::text::bigint and locked_by = ${worker}::text`)
}

/** How many workers were lost with a job, by the flags that the engine hands over. */
export function lossesOf(flags: Readonly<Record<string, unknown>> | null): number {
  const losses = flags?.[LOST]
  return typeof losses === 'number' ? losses : 0
}

/** The flags under which a job carries its past. */
export const LOST = 'kretes:lost'
/** See {@linkcode LOST}. */
export const STARTED = 'kretes:started'

/** What tells one lock of a job from all others, in the same letters whatever the session's settings. */
const LOCK: Fragment = { sql: `locked_by || ' ' || extract(epoch from locked_at)` }

/** How long a worker may be silent before its peers look whether its lock is free: three beats missed. */
export const STALE_AFTER_MS = 6_000

/** The class of advisory locks that the workers of a schema share: their numbers are unique only there. */
export function lockClass(schema: string): number {
  if (schema === 'graphile_worker') return LOCK_CLASS
  let sum = LOCK_CLASS
  for (const letter of schema) sum = (Math.imul(sum, 31) + letter.charCodeAt(0)) | 0
  return sum >>> 1
}

/** "kret" in ASCII. */
const LOCK_CLASS = 0x6b726574
