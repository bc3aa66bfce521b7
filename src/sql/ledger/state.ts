import type { JobState } from '../../rules/states.ts'
import { ownSchema } from '../names.ts'
import { type Access, type Fragment, identifier } from '../statement.ts'

const HAS_FAILED = 'job.attempts >= job.max_attempts'
const WAS_TRIED = 'job.attempts > 0'
const IS_LATER = 'job.run_at > now()'

/**
 * The state of a `job`. The expression needs a left join with the `worker` that holds the job, if that worker is ours.
 */
export const JOB_STATE = `case
        when job.locked_at is null then case
          when ${HAS_FAILED} then 'failed'
          when ${WAS_TRIED} then 'retrying'
          when ${IS_LATER} then 'scheduled'
          else 'waiting'
        end
        when worker.id is null or job.id = any(worker.running) then 'running'
        when ${IS_LATER} then 'scheduled'
        else 'waiting'
      end`

/** Whether a `job` that no worker has is in a state. These are the rules of {@linkcode JOB_STATE} for each state. */
export const WHILE_FREE: Readonly<Record<Exclude<JobState, 'running'>, string>> = {
  failed: HAS_FAILED,
  retrying: `${WAS_TRIED} and not ${HAS_FAILED}`,
  scheduled: `${IS_LATER} and not ${WAS_TRIED}`,
  waiting: `not ${IS_LATER} and not ${WAS_TRIED}`
}

/** Whether a `job` is in a state. Unlike {@linkcode JOB_STATE}, this needs no join, so an index can find the jobs. */
export function inState({ schema }: Access, state: JobState): Fragment {
  const workers = `${identifier(ownSchema(schema)).sql}.workers worker where worker.id = job.locked_by`
  const isRunning = `job.locked_at is not null and (not exists (select from ${workers})
      or exists (select from ${workers} and job.id = any(worker.running)))`
  const isUntouched = `not (job.locked_at is null and ${WAS_TRIED}) and not (${isRunning})`
  const sql: Record<JobState, string> = {
    running: isRunning,
    failed: `job.locked_at is null and ${WHILE_FREE.failed}`,
    retrying: `job.locked_at is null and ${WHILE_FREE.retrying}`,
    scheduled: `${IS_LATER} and ${isUntouched}`,
    waiting: `not ${IS_LATER} and ${isUntouched}`
  }
  return { sql: `(${sql[state]})` }
}
