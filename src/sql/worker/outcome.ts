import { ATTEMPTS, isCancelled } from '../names.ts'
import { type Execute, identifier, statement } from '../statement.ts'

/** What becomes of a job whose run has failed. */
export interface Outcome {
  readonly id: string
  /** The attempt that failed. */
  readonly attempt: number
  /** When the run's lock was taken, in milliseconds since 1970. */
  readonly lockedAtMs: number
  /** How many milliseconds after it failed it runs again, or `null` if there is a time. */
  readonly delayMs: number | null
  /** When it failed, by this process's `performance.now()`. */
  readonly failedMs: number
  /** When it runs again, in ISO 8601, or `null`. */
  readonly runAt: string | null
  /** Whether the attempt does not count. */
  readonly isFree: boolean
  /** Whether it does not run again, whatever is left of its attempts. */
  readonly isFinal: boolean
  /** What went wrong. */
  readonly reason: string
}

/** A job whose run has failed, as the database has it. */
export interface FailingJob {
  readonly id: string
  /** What went wrong in an earlier attempt. */
  readonly error: string | null
  /** Whether somebody has cancelled it meanwhile. */
  readonly cancelled: 'true' | 'false'
}

/**
 * Locks those jobs that are still held by the very run that has failed. A worker that does not know whether it has
 * written a failure writes it again, and may have fetched the job anew in between: the time of the lock tells.
 */
export async function lockFailing(
  execute: Execute,
  schema: string,
  worker: string,
  outcomes: readonly Outcome[]
): Promise<readonly FailingJob[]> {
  if (outcomes.length === 0) return []
  return await execute<FailingJob>(statement`
    select
      job.id::text as id,
      job.last_error as error,
      ${isCancelled('job.flags')}::text as cancelled
    from json_to_recordset(${toJson(outcomes)}::text::json) as run (id bigint, since float8)
    join ${identifier(schema)}._private_jobs job on job.id = run.id
    where job.locked_by = ${worker}::text and abs(extract(epoch from job.locked_at) * 1000 - run.since) < 2
    order by job.id
    for update of job`)
}

/** Sets when jobs that have just been unlocked run again. An attempt is given back unless somebody set it meanwhile. */
export async function applyOutcomes(execute: Execute, schema: string, outcomes: readonly Outcome[]): Promise<void> {
  await execute(statement`
    select count(*)::text
    from json_to_recordset(${toJson(outcomes)}::text::json) as run (id bigint, attempt int, delay float8, at timestamptz, free bool)
    join ${identifier(schema)}._private_jobs job on job.id = run.id,
    lateral ${identifier(schema)}.reschedule_jobs(
      array[run.id],
      run_at => coalesce(run.at, clock_timestamp() + run.delay * interval '1 millisecond'),
      attempts => case when run.free and job.attempts = run.attempt then greatest(0, run.attempt - 1) end
    ) rescheduled`)
}

/**
 * Gives up jobs that have just been unlocked. To the engine all of their attempts are spent; how many there were is
 * kept beside.
 */
export async function failForGood(execute: Execute, schema: string, outcomes: readonly Outcome[]): Promise<void> {
  await execute(statement`
    update ${identifier(schema)}._private_jobs job
    set
      last_error = run.reason,
      flags = case
        when job.attempts < job.max_attempts
          then coalesce(job.flags, '{}') || jsonb_build_object(${ATTEMPTS}::text, job.attempts)
        else job.flags
      end,
      attempts = job.max_attempts,
      updated_at = now()
    from json_to_recordset(${toJson(outcomes)}::text::json) as run (id bigint, reason text)
    where job.id = run.id and job.locked_at is null`)
}

/** Removes jobs that have just been unlocked. */
export async function removeCancelled(execute: Execute, schema: string, ids: readonly string[]): Promise<void> {
  await execute(statement`
    select count(*)::text from ${identifier(schema)}.complete_jobs(string_to_array(${ids.join(',')}::text, ',')::bigint[])`)
}

function toJson(outcomes: readonly Outcome[]): string {
  const nowMs = performance.now()
  return JSON.stringify(
    outcomes.map(({ id, attempt, lockedAtMs, delayMs, failedMs, runAt, isFree, reason }) => ({
      id,
      attempt,
      since: lockedAtMs,
      delay: delayMs === null ? null : delayMs - (nowMs - failedMs),
      at: runAt,
      free: isFree,
      reason
    }))
  )
}
