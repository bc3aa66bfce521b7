import { JOB_COLUMNS, KEEPS_ALL, recording } from '../ledger/record.ts'
import { ATTEMPTS, ownSchema } from '../names.ts'
import { type Connections, type Execute, type Fragment, identifier, statement, textArray } from '../statement.ts'
import { isStale, lockClass, type StaleAfter } from './heartbeat.ts'
import { notifyWorkers } from './notify.ts'

/** The outcome for the jobs of a dead worker. */
export interface Rescue {
  /** The number of jobs that wait again. */
  readonly rescued: number
  /** The ids of jobs that were running each time a worker was lost, too often to run again. */
  readonly failed: readonly string[]
}

/**
 * Releases the jobs of a dead worker. Returns `null` if the worker is alive: its last beat is recent, or a session
 * holds its lock.
 *
 * A lost run does not cost an attempt. At first it is unknown which job ended the worker's process. So from then on, a
 * worker marks each of these jobs before it runs the job (see {@linkcode markStarted}), and only a marked job counts a
 * further loss. The marks are in the job's `flags`, which the engine returns with the job, so other jobs have no extra
 * cost. A mark is valid only for the lock under which it was made. It means nothing once the run has ended and the job
 * is locked again.
 */
export async function rescueJobs(
  { transact }: Connections,
  schema: string,
  id: string,
  { maxLosses, ...stale }: StaleAfter & { readonly maxLosses: number }
): Promise<Rescue | null> {
  return await transact(async execute => {
    // The worker may have come back in the meantime. While its row is locked here, it cannot. The statement skips a row
    // that is already locked, by the worker itself or by another worker that rescues its jobs.
    const [worker] = await execute<{ dead: string }>(statement`
      with stale as materialized (
        select lock_id from ${identifier(ownSchema(schema))}.workers
        where id = ${id}::text and ${isStale(stale)}
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
    await execute(statement`delete from ${identifier(ownSchema(schema))}.leases where worker = ${id}::text`)
    await execute(statement`delete from ${identifier(ownSchema(schema))}.workers where id = ${id}::text`)
    await notifyWorkers(execute, jobs.length)
    return { rescued: jobs.length - failed.length, failed }
  })
}

/**
 * Marks a job that was lost before as started. The job then counts a further loss if this worker is lost during the
 * run.
 */
export async function markStarted(execute: Execute, schema: string, job: string, worker: string): Promise<void> {
  await execute(statement`
    update ${identifier(schema)}._private_jobs
    set flags = flags || jsonb_build_object(${STARTED}::text, ${LOCK})
    where id = ${job}::text::bigint and locked_by = ${worker}::text`)
}

/** The number of workers that were lost with a job, by the flags that the engine returns. */
export function lossesOf(flags: Readonly<Record<string, unknown>> | null): number {
  const losses = flags?.[LOST]
  return typeof losses === 'number' ? losses : 0
}

/** The flag of a job that was lost with a worker. Its value is the number of lost workers. */
export const LOST = 'kretes:lost'
/** The flag of a job that was lost before and has started again. Its value identifies the lock. */
export const STARTED = 'kretes:started'

/** Identifies one lock of a job. The text does not depend on the session's settings. */
const LOCK: Fragment = { sql: `locked_by || ' ' || extract(epoch from locked_at)` }
