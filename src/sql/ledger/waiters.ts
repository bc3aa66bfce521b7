import { ownSchema } from '../names.ts'
import { type Access, type Execute, identifier, type Statement, statement } from '../statement.ts'
import { IS_OVER } from './schema.ts'

/** The process id of the backend that serves the session. Behind a pooler, the driver knows a different id. */
export async function readBackend(execute: Execute): Promise<number> {
  const [row] = await execute<{ pid: string }>(statement`select pg_backend_pid()::text as pid`)
  return Number(row?.pid)
}

/** Listens for jobs that have ended. */
export const listenForEnds: Statement = { text: 'listen "kretes:ended"', values: [] }

/** The job whose end a notification announces, or `undefined` if the job belongs to another schema. */
export function readEndNotice(payload: string, schema: string): string | undefined {
  try {
    const notice = JSON.parse(payload) as { schema?: unknown; job?: unknown }
    return notice.schema === schema && typeof notice.job === 'string' ? notice.job : undefined
  } catch {
    // Any client of the database may notify.
    return undefined
  }
}

/**
 * Registers a listener that waits for the end of jobs, or extends its registration. The statement that ends a job at
 * the same moment may not see the listener, so the listener must check the job again a little later.
 */
export async function registerWaiters(
  { execute, schema }: Access,
  listener: string,
  ids: readonly string[]
): Promise<void> {
  await execute(statement`
    insert into ${identifier(ownSchema(schema))}.waiters (job_id, listener, expires_at)
    select id, ${listener}::text, now() + ${EXPIRY_SECONDS}::text::int * interval '1 second'
    from unnest(string_to_array(${ids.join(',')}::text, ',')::bigint[]) as wanted (id)
    on conflict (job_id, listener) do update set expires_at = excluded.expires_at`)
}

/** Removes a listener from jobs, and removes the listeners of dead processes. */
export async function removeWaiters(
  { execute, schema }: Access,
  listener: string,
  ids: readonly string[]
): Promise<void> {
  await execute(statement`
    delete from ${identifier(ownSchema(schema))}.waiters
    where (listener = ${listener}::text and job_id = any(string_to_array(${ids.join(',')}::text, ',')::bigint[]))
      or expires_at < now()`)
}

/** The state of a job and of its last run. */
export interface JobEnd {
  readonly id: string
  /**
   * The state in the view of jobs; `null` if the job is not there. A job in any state other than `failed` is not over.
   */
  readonly state: string | null
  /** From 0 to 1, as text, if a running job reports it. */
  readonly progress: string | null
  /** The engine's copy of the error message. */
  readonly message: string | null
  /** The state of the last run in the ledger. `null` if there is none, or if the job runs again. */
  readonly outcome: string | null
  /** Whether this run ended the job. */
  readonly isOver: boolean
  /** The error of this run, as JSON text. */
  readonly error: string | null
  /** The result of this run, as JSON text. */
  readonly result: string | null
  /** The reason why this run has no result. */
  readonly problem: string | null
  /** A time in ISO 8601. Unless the other properties show that the job has ended, it had not ended at this time. */
  readonly asOf: string
}

/**
 * Reads whether and how jobs have ended.
 *
 * @param since a time in ISO 8601 before which none of the jobs ended, so that the server can skip old partitions
 */
export async function findEnds(
  execute: Execute,
  schema: string,
  ids: readonly string[],
  since: string | null
): Promise<readonly JobEnd[]> {
  const own = identifier(ownSchema(schema))
  const rows = await execute<JobEndRow>(statement`
    select
      wanted.id::text as id,
      job.state as state,
      job.progress::text as progress,
      job.error as message,
      run.state as outcome,
      run.is_over::text as over,
      run.error::text as error,
      run.result::text as result,
      run.result_problem as problem,
      to_json(statement_timestamp() - interval '1 minute') #>> '{}' as "asOf"
    from unnest(string_to_array(${ids.join(',')}::text, ',')::bigint[]) as wanted (id)
    left join lateral (
      select live.state, live.progress, live.error from ${own}.jobs live where live.id = wanted.id
    ) job on true
    left join lateral (
      select state, error, result, result_problem, ${{ sql: IS_OVER }} as is_over
      from ${own}.ledger
      where coalesce(job.state, 'failed') = 'failed'
        and job_id = wanted.id
        and is_failure = any(array[false, true])
        and finished_at >= coalesce(${since}::text::timestamptz, '-infinity')
        and finished_at < now() + interval '1 day'
      order by finished_at desc
      limit 1
    ) run on true`)
  return rows.map(({ over, ...end }) => ({ ...end, isOver: over === 'true' }))
}

interface JobEndRow extends Omit<JobEnd, 'isOver'> {
  readonly over: string | null
}

/** A listener is dead if its registration was not extended for this long. */
const EXPIRY_SECONDS = 120
