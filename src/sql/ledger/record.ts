import { FAILURE_STATES } from '../../rules/states.ts'
import { isUsers, occurrenceColumns, ownSchema } from '../names.ts'
import { type Fragment, identifier } from '../statement.ts'
import { dueSince } from '../times.ts'
import { BUCKETS_PER_DOUBLING } from './schema.ts'

/** Which runs get a row in the ledger. All runs are counted. */
export interface Kept {
  readonly keepsSuccesses: boolean
  readonly keepsFailures: boolean
}

/** For statements that cannot know which runs a worker keeps. */
export const KEEPS_ALL: Kept = { keepsSuccesses: true, keepsFailures: true }

/**
 * The part of a statement that records and counts runs. Put this part after an expression named `ended`, with one row
 * for each run that has ended. The statement must read the expression `told`. Otherwise PostgreSQL does not run it, and
 * waiting callers get no notification.
 *
 * @param options.mayLackPartition whether to record no run if the ledger has no partition for today, because no worker
 * has maintained it for a long time
 * @param options.mayHaveQueues whether some of the jobs may have named queues
 */
export function recording(
  schema: string,
  kept: Kept,
  { mayLackPartition = false, mayHaveQueues = true }: { mayLackPartition?: boolean; mayHaveQueues?: boolean } = {}
): Fragment {
  const own = identifier(ownSchema(schema)).sql
  const engine = identifier(schema).sql
  const partition = `quote_ident(${quote(ownSchema(schema))}) || to_char(now() at time zone 'utc', '".ledger_"YYYYMMDD')`
  return {
    sql: `run as materialized (
      select
        timed.*,
        case when started_at is null then 0 else date_part('epoch', finished_at - started_at) * 1000 end as running_ms,
        case when started_at is null then 0 else greatest(0, date_part('epoch', started_at - (${dueSince('ready_at', 'scheduled_at')})) * 1000) end as waiting_ms
      from (
        select
          job_id,
          now() - ago * interval '1 millisecond' as finished_at,
          now() - (ago + duration) * interval '1 millisecond' as started_at,
          ready_at,
          scheduled_at,
          run_attempt as attempt,
          max_attempts,
          priority,
          run_state = any('{${FAILURE_STATES.map(state => `"${state}"`).join(',')}}') as is_failure,
          run_state as state,
          (select identifier from ${engine}._private_tasks task where task.id = task_id) as task,
          case when job_queue_id is not null then (
            select queue_name from ${engine}._private_job_queues queue where queue.id = job_queue_id and ${isUsers('queue').sql}
          ) end as queue,
          key,
          worker,
          case when flags is not null then (
            select substr(flag, 7) from jsonb_object_keys(flags) flag where flag like 'trace:%' limit 1
          ) end as trace_id,
          error::json as error,
          result::json as result,
          payload::json as payload,
          log::json as log,
          ${occurrenceColumns('flags').schedule} as schedule,
          ${occurrenceColumns('flags').occurrence} as occurrence,
          problem as result_problem,
          is_over
        from ended
      ) timed
    ), recorded as (
      insert into ${own}.ledger (${LEDGER_COLUMNS})
      select ${LEDGER_COLUMNS} from run
      where ${keeping(kept)}${mayLackPartition ? ` and to_regclass(${partition}) is not null` : ''}
    ), counted as (
      insert into ${own}.counters (minute, runs, duration_bucket, task, state, waiting_ms, running_ms)
      select date_trunc('minute', finished_at), count(*), ${BUCKET}, task, state, sum(waiting_ms), sum(running_ms)
      from run
      group by 1, 3, 4, 5
    ), ${mayHaveQueues ? countingQueues(own) : ''} told as (
      select pg_notify('${ENDED_CHANNEL}', json_build_object('schema', ${quote(schema)}, 'job', job_id::text)::text)
      from run
      where is_over and exists (select from ${own}.waiters waiter where waiter.job_id = run.job_id)
    )`
  }
}

function countingQueues(own: string): string {
  return `counted_queues as (
      insert into ${own}.queue_counters (minute, runs, duration_bucket, queue, state, waiting_ms, running_ms)
      select date_trunc('minute', finished_at), count(*), ${BUCKET}, queue, state, sum(waiting_ms), sum(running_ms)
      from run
      where queue is not null
      group by 1, 3, 4, 5
    ),`
}

/** Reopens jobs that had failed for good and run again: their failed runs no longer end them. */
export function reopening(schema: string, jobs: string): Fragment {
  return {
    sql: `update ${identifier(ownSchema(schema)).sql}.ledger set is_over = false
      where is_failure and is_over and job_id = any(${jobs})`
  }
}

function keeping({ keepsSuccesses, keepsFailures }: Kept): string {
  if (keepsSuccesses && keepsFailures) return 'true'
  if (keepsSuccesses) return 'not is_failure'
  return keepsFailures ? 'is_failure' : 'false'
}

/** The columns of a job that {@linkcode recording} needs, under the names that it expects. */
export const JOB_COLUMNS: Fragment = {
  sql: `job.id as job_id, job.task_id, job.job_queue_id, job.run_at as ready_at, job.created_at as scheduled_at,
        job.max_attempts, job.priority, job.key, job.locked_by as worker, job.flags`
}

/** The channel that announces the end of a job while a caller waits for it. */
const ENDED_CHANNEL = 'kretes:ended'

/** A run shorter than a millisecond counts as a run of one millisecond. */
const BUCKET = `floor(${BUCKETS_PER_DOUBLING} / ln(2) * ln(greatest(running_ms, 1)))`

const LEDGER_COLUMNS = `job_id, finished_at, started_at, ready_at, scheduled_at, attempt, max_attempts, priority,
        is_failure, state, task, queue, key, worker, trace_id, error, result, payload, log,
        result_problem, is_over, schedule, occurrence`

/** A text as a literal. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
