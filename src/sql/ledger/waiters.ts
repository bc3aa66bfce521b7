import { ownSchema } from '../names.ts'
import { type Access, type Execute, identifier, type Statement, statement } from '../statement.ts'
import { IS_OVER } from './schema.ts'

/** Which backend serves the session. Behind a pooler it is another one than the driver was told of. */
export async function readBackend(execute: Execute): Promise<number> {
  const [row] = await execute<{ pid: string }>(statement`select pg_backend_pid()::text as pid`)
  return Number(row?.pid)
}

/** Asks to be told of jobs that have ended. */
export const listenForEnds: Statement = { text: 'listen "kretes:ended"', values: [] }

/** The job whose end a notification tells of, if it is one of this schema's. */
export function readEndNotice(payload: string, schema: string): string | undefined {
  try {
    const notice = JSON.parse(payload) as { schema?: unknown; job?: unknown }
    return notice.schema === schema && typeof notice.job === 'string' ? notice.job : undefined
  } catch {
    // Anybody may notify.
    return undefined
  }
}

/**
 * Registers a listener that waits for the end of jobs, or renews it. A job that ends at the same moment may not see the
 * listener, which therefore has to look again a little later.
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

/** Removes a listener from jobs, and the listeners of processes that have died. */
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

/** What is known of a job and its last run. */
export interface JobEnd {
  readonly id: string
  /** Its state if it is there, as the view of jobs has it: only of one that has `failed` nothing more is to come. */
  readonly state: string | null
  /** From 0 to 1, as text, while it runs and says so. */
  readonly progress: string | null
  /** The engine's copy of its error message. */
  readonly message: string | null
  /** The state of the last run on record, unless more is to come. */
  readonly outcome: string | null
  /** Whether the job was over with that run. */
  readonly isOver: boolean
  /** Of that run, JSON text. */
  readonly error: string | null
  /** Of that run, JSON text. */
  readonly result: string | null
  /** Why there is no result of that run. */
  readonly problem: string | null
  /** A time, in ISO 8601, at which it had not ended unless this says so. */
  readonly asOf: string
}

/**
 * Looks what has become of jobs.
 *
 * @param since a time, in ISO 8601, before which none of them has ended, so that old parts of the ledger can be left out
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

/** A listener that was not renewed for so long is dead. */
const EXPIRY_SECONDS = 120

/** How often a listener has to be renewed. */
export const RENEWAL_MS = 30_000
