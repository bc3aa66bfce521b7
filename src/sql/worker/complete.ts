import { agoOf, type EndedRun, JOB_COLUMNS, type Kept, recording, reopening } from '../ledger/record.ts'
import { identifier } from '../statement.ts'

/** A statement that is prepared under a name, with parameters of any kind. */
export interface PreparedStatement {
  readonly name: string
  readonly text: string
  readonly values: readonly unknown[]
}

/** Jobs that have ended and do not run again. */
export interface Completion {
  readonly ids: readonly string[]
  /** Who ran them. What somebody else has locked meanwhile is theirs to complete. */
  readonly worker: string
  /** Whether some of them are in queues. */
  readonly releasesQueues: boolean
}

/**
 * Completes jobs as the engine does, by removing them and unlocking their queues, and records their runs in the same
 * statement: no job is gone without its run, and a job that is gone already is recorded no second time.
 *
 * @param runs how they ended; of some there may be nothing known but that
 */
export function completeJobs(
  schema: string,
  kept: Kept,
  { ids, worker, releasesQueues }: Completion,
  runs: ReadonlyMap<string, EndedRun>
): PreparedStatement {
  const known = ids.map(id => runs.get(id))
  const nowMs = performance.now()
  // What no job of them has is one null, which costs the server nothing.
  const column = <Value>(read: (run: EndedRun) => Value | null): readonly (Value | null)[] | null => {
    const values = known.map(run => (run ? read(run) : null))
    return values.every(value => value === null) ? null : values
  }
  const values = [
    ids,
    worker,
    column(run => (run.state === 'succeeded' ? null : run.state)),
    column(run => run.attempt),
    column(run => run.durationMs),
    column(run => agoOf(run, nowMs)),
    column(run => run.result),
    column(run => run.payload),
    column(run => run.log),
    column(run => run.problem)
  ]
  const reopens = known.some(run => run?.isAfterFailure)
  const name = `kretes_complete${releasesQueues ? '_q' : ''}${reopens ? '_r' : ''}`
  const text = once([schema, kept, releasesQueues, reopens], () => recorded(schema, kept, releasesQueues, reopens))
  return { name, text, values }
}

/** Completes jobs as {@linkcode completeJobs} does, and records nothing. */
export function completeUnrecorded(schema: string, { ids, worker, releasesQueues }: Completion): PreparedStatement {
  const name = releasesQueues ? 'kretes_remove_q' : 'kretes_remove'
  const text = once([schema, releasesQueues], () => unrecorded(schema, releasesQueues))
  return { name, text, values: [ids, worker] }
}

/** The texts are as long as a page, and always the same. */
function once(parts: readonly unknown[], write: () => string): string {
  const key = JSON.stringify(parts)
  const known = texts.get(key)
  if (known !== undefined) return known
  const text = write()
  texts.set(key, text)
  return text
}

const texts = new Map<string, string>()

function recorded(schema: string, kept: Kept, releasesQueues: boolean, reopens: boolean): string {
  // Not joined to its runs before they are gone: a plan made while the table was empty would read all of it each time.
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
    ), ${releasesQueues ? `released as (${releasing(schema, 'ended')}),` : ''}
    ${reopens ? `reopened as (${reopening(schema, 'array(select job_id from ended)').sql}),` : ''}
    ${recording(schema, kept, { mayHaveQueues: releasesQueues }).sql}
    select from told`
}

function unrecorded(schema: string, releasesQueues: boolean): string {
  if (!releasesQueues) return removing(schema)
  return `
    with gone as (
      ${removing(schema)}
      returning job.job_queue_id, job.locked_by as worker
    )
    ${releasing(schema, 'gone')}`
}

function removing(schema: string): string {
  return `delete from ${identifier(schema).sql}._private_jobs job
      where job.id = any($1::bigint[]) and job.locked_by = $2::text`
}

/**
 * Only with its job, never by the worker's name alone: a completion whose answer was lost is repeated, and by then the
 * worker may run the next job of the queue.
 */
function releasing(schema: string, jobs: string): string {
  return `
      update ${identifier(schema).sql}._private_job_queues job_queues
      set locked_by = null, locked_at = null
      from ${jobs}
      where job_queues.id = ${jobs}.job_queue_id and job_queues.locked_by = ${jobs}.worker`
}
