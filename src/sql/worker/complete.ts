import { JOB_COLUMNS, type Kept, recording, reopening } from '../ledger/record.ts'
import { identifier, type Statement, textArray } from '../statement.ts'
import { agoOf, type Ending } from './ending.ts'

/**
 * Completes jobs like the engine: removes the jobs and unlocks their queues. The same statement records the runs, so a
 * job never goes without its run, and the run of a removed job is not recorded again. The statement skips jobs that
 * another worker has locked in the meantime.
 *
 * @param kept which runs get a row; `undefined` records nothing
 */
export function completeJobs(
  schema: string,
  kept: Kept | undefined,
  worker: string,
  endings: readonly Ending[]
): Statement {
  const ids = textArray(endings.map(({ id }) => id))
  const haveQueues = endings.some(({ isQueued }) => isQueued)
  const keeping = haveQueues ? [textArray(endings.flatMap(({ id, keepsQueue }) => (keepsQueue ? id : [])))] : []
  if (!kept) {
    const text = once([schema, haveQueues], () => unrecorded(schema, haveQueues))
    return { name: haveQueues ? 'kretes_remove_q' : 'kretes_remove', text, values: [ids, worker, ...keeping] }
  }
  const nowMs = performance.now()
  // A column that is null for all jobs becomes a single null, which costs the server nothing.
  const column = (read: (ending: Ending) => string | number | null): string | null => {
    const values = endings.map(read)
    return values.every(value => value === null) ? null : textArray(values)
  }
  const reopens = endings.some(({ isAfterFailure }) => isAfterFailure)
  return {
    name: `kretes_complete${haveQueues ? '_q' : ''}${reopens ? '_r' : ''}`,
    text: once([schema, kept, haveQueues, reopens], () => recorded(schema, kept, haveQueues, reopens)),
    values: [
      ids,
      worker,
      column(({ state }) => (state === 'succeeded' ? null : state)),
      column(({ attempt }) => attempt),
      column(({ durationMs }) => durationMs),
      column(ending => agoOf(ending, nowMs)),
      column(({ result }) => result),
      column(({ payload }) => payload),
      column(({ log }) => log),
      column(({ problem }) => problem),
      ...keeping
    ]
  }
}

/** Caches a text. Each text is about a page long, and always the same for the same parts. */
function once(parts: readonly unknown[], write: () => string): string {
  const key = JSON.stringify(parts)
  const known = texts.get(key)
  if (known !== undefined) return known
  const text = write()
  texts.set(key, text)
  return text
}

const texts = new Map<string, string>()

function recorded(schema: string, kept: Kept, haveQueues: boolean, reopens: boolean): string {
  // The delete does not join the runs: the server would keep a plan made for an empty table and scan the whole table
  // each time.
  return `
    with gone as (
      ${removing(schema)}
      returning ${JOB_COLUMNS.sql}, job.attempts
    ), ended as materialized (
      select
        gone.*,
        coalesce(run.state, 'succeeded') as run_state,
        coalesce(run.attempt, gone.attempts) as run_attempt,
        run.duration,
        coalesce(run.ago, 0) as ago,
        null::text as error,
        run.result,
        run.problem,
        run.payload,
        run.log,
        true as is_over
      from gone
      join unnest($1::bigint[], $3::text[], $4::int[], $5::float8[], $6::float8[], $7::text[], $8::text[], $9::text[],
          $10::text[])
        as run (id, state, attempt, duration, ago, result, payload, log, problem) on run.id = gone.job_id
    ), ${haveQueues ? `released as (${releasing(schema, 'ended', '$11')}),` : ''}
    ${reopens ? `reopened as (${reopening(schema, 'array(select job_id from ended)').sql}),` : ''}
    ${recording(schema, kept, { mayHaveQueues: haveQueues }).sql}
    select from told`
}

function unrecorded(schema: string, haveQueues: boolean): string {
  if (!haveQueues) return removing(schema)
  return `
    with gone as (
      ${removing(schema)}
      returning job.id as job_id, job.job_queue_id, job.locked_by as worker
    )
    ${releasing(schema, 'gone', '$3')}`
}

function removing(schema: string): string {
  return `delete from ${identifier(schema).sql}._private_jobs job
      where job.id = any($1::bigint[]) and job.locked_by = $2::text`
}

/**
 * Unlocks a queue together with its job, never by the worker's name alone. A worker repeats a completion whose answer
 * was lost, and may already run the next job of the queue by then.
 *
 * @param keeping the parameter with the ids of the jobs whose queues stay locked
 */
function releasing(schema: string, jobs: string, keeping: string): string {
  return `
      update ${identifier(schema).sql}._private_job_queues job_queues
      set locked_by = null, locked_at = null
      from ${jobs}
      where job_queues.id = ${jobs}.job_queue_id and job_queues.locked_by = ${jobs}.worker
        and ${jobs}.job_id <> all(${keeping}::bigint[])`
}
