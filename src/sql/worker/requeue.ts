import { JOB_COLUMNS, type Kept, recording } from '../ledger/record.ts'
import { ATTEMPTS, isCancelled } from '../names.ts'
import { identifier, type Statement, statement } from '../statement.ts'
import { agoOf, type Ending } from './ending.ts'

/**
 * Writes the ends of runs whose jobs stay in the table: retried, snoozed, released, or failed for good. Unlocks these
 * jobs and their queues. The same statement records the runs. It removes a job that was cancelled in the meantime.
 *
 * A worker that does not know whether it has written an ending writes it again. By then, the worker may already run the
 * job again. The time of the lock identifies the run, so the statement skips a job that belongs to another run or
 * another worker.
 *
 * A job is also over if its attempts were spent in the meantime, because a newer job with the same key has replaced it.
 * The engine counts all attempts of a failed job as spent. A flag stores the number of attempts made.
 *
 * @param kept which runs get a row; `undefined` records nothing
 */
export function requeueOrFailJobs(
  schema: string,
  kept: Kept | undefined,
  worker: string,
  endings: readonly Ending[]
): Statement {
  const engine = identifier(schema)
  const isOver = {
    sql: `coalesce(
          run_final or is_cancelled or (attempts >= max_attempts and not (run_free and attempts = run_attempt)), false)`
  }
  const ended = statement`
    ended as materialized (
      select
        ${JOB_COLUMNS},
        case when is_cancelled then 'cancelled' else run_state end as run_state,
        run_attempt,
        run_duration as duration,
        run_ago as ago,
        case when is_cancelled then null else run_error end as error,
        null::text as result,
        null::text as problem,
        run_payload as payload,
        run_log as log,
        ${isOver} as is_over
      from held job
    ), ${kept ? recording(schema, kept) : NOTHING}`
  return {
    ...statement`
    with held as materialized (
      select job.*, ${isCancelled('job.flags')} as is_cancelled, run.*
      from json_to_recordset(${toJson(endings)}::text::json) as run
        (run_id bigint, run_since float8, run_state text, run_attempt int, run_duration float8, run_ago float8,
         run_error text, run_payload text, run_log text, run_final bool, run_free bool,
         run_delay float8, run_due timestamptz, run_reason text, run_keeps_queue bool)
      join ${engine}._private_jobs job on job.id = run_id
      where job.locked_by = ${worker}::text and abs(extract(epoch from job.locked_at) * 1000 - run_since) < 2
      order by job.id
      for update of job
    ), ${kept ? statement`${ended},` : NOTHING} removed as (
      delete from ${engine}._private_jobs job using held where job.id = held.id and held.is_cancelled
    ), unlocked as (
      update ${engine}._private_job_queues queue
      set locked_by = null, locked_at = null
      from held
      where queue.id = held.job_queue_id and queue.locked_by = held.locked_by and not held.run_keeps_queue
    ), kept as (
      update ${engine}._private_jobs job
      set
        locked_by = null,
        locked_at = null,
        updated_at = now(),
        last_error = case when run_free then job.last_error else run_reason end,
        run_at = case
          when run_final then job.run_at
          else coalesce(run_due, clock_timestamp() + run_delay * interval '1 millisecond', job.run_at)
        end,
        attempts = case
          when run_final then job.max_attempts
          when run_free and job.attempts = run_attempt then greatest(0, run_attempt - 1)
          else job.attempts
        end,
        flags = case
          when run_final and job.attempts < job.max_attempts
            then coalesce(job.flags, '{}') || jsonb_build_object(${ATTEMPTS}::text, job.attempts)
          else job.flags
        end
      from held
      where job.id = held.id and not held.is_cancelled
    )
    select from ${kept ? { sql: 'told' } : { sql: 'held' }}`,
    name: kept ? 'kretes_requeue' : 'kretes_requeue_unrecorded'
  }
}

const NOTHING = { sql: '' }

function toJson(endings: readonly Ending[]): string {
  const nowMs = performance.now()
  return JSON.stringify(
    endings.map(
      ({ id, lockedAtMs, state, attempt, durationMs, endedMs, error, payload, log, next, keepsQueue = false }) => ({
        run_id: id,
        run_since: lockedAtMs,
        run_state: state,
        run_attempt: attempt,
        run_duration: durationMs,
        run_ago: agoOf({ endedMs }, nowMs),
        run_error: error,
        run_payload: payload,
        run_log: log,
        run_final: next.kind === 'fail',
        run_free: next.kind === 'wait',
        run_delay: 'delayMs' in next && next.delayMs !== undefined ? next.delayMs - (nowMs - endedMs) : null,
        run_due: 'runAt' in next ? next.runAt : null,
        run_reason: 'reason' in next ? next.reason : null,
        run_keeps_queue: keepsQueue
      })
    )
  )
}
