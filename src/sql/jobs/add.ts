import type { Job } from '../../job.ts'
import { LIMITED, SLOTS } from '../../rules/lanes.ts'
import { versionFlags } from '../flow/versions.ts'
import { type OccurrenceOf, occurrenceFlags } from '../names.ts'
import { type Access, type Fragment, identifier, type Statement, statement, textArray } from '../statement.ts'
import { ADDED, type AddedRow, toJob } from './added.ts'
import { ORIGIN_IDS, type OriginRow, readOrigins } from './origin.ts'

/** How the engine treats a waiting job with the same key. */
export type EngineKeyMode = 'replace' | 'preserve_run_at' | 'unsafe_dedupe'

/** A job to schedule. The engine chooses the values that are `null`. */
export interface NewJob {
  readonly task: string
  /** JSON text. */
  readonly payload: string
  readonly queue: string | null
  /** The earliest time at which the job runs, in ISO 8601. If `null`, the earliest time is now. */
  readonly runAt: string | null
  /** The delay from now on in whole milliseconds. Not together with `runAt`. */
  readonly delayMs: number
  readonly priority: number | null
  readonly maxAttempts: number | null
  readonly key: string | null
  readonly keyMode: EngineKeyMode
  /** The version of the task, if it has one. Workers with a lower version do not take the job. */
  readonly version: number | null
  /** Whether the job's task has limits. Its queue is a lane then. */
  readonly isLimited?: boolean
  /** How many jobs of its queue run at the same time, if they do not run one after another. */
  readonly slots?: number | null
  /** The occurrence of a recurring job that it belongs to. Only a job of the mode `unsafe_dedupe` can have one. */
  readonly of?: OccurrenceOf
}

/**
 * Schedules one job.
 *
 * @returns the job, or `undefined` if a worker took the job with this key at the same moment. In that case, nothing has
 * happened.
 */
export async function addJob(access: Access, job: NewJob): Promise<Job | undefined> {
  if (job.keyMode === 'unsafe_dedupe') {
    const [row] = await access.execute<AddedRow & OriginRow>(addJobOnce(access, job))
    if (!row) return undefined
    const [origin] = await readOrigins(access, [row])
    return toJob(origin ?? job, row)
  }
  const [row] = await access.execute<AddedRow>(addJobAlone(access, job))
  return row && toJob(job, row)
}

/**
 * Schedules jobs in one `add_jobs`. This is fast, but each key may occur only once. Either all jobs without a key have
 * a `runAt`, or none has one.
 *
 * Each job runs one microsecond after the job before it. This keeps a queue in order, and it identifies the row of each
 * job: the order in which `add_jobs` returns rows depends on the plan of its insert. Jobs with a `runAt` must not have
 * a queue: an earlier statement's jobs with the same `runAt` would run after the first jobs of this statement.
 *
 * @returns the jobs in order, with a gap for each job whose key belonged to a job that a worker took at the same
 * moment; `undefined` if nothing was added, because a trigger could change the times that identify the rows
 */
export async function addTogether(access: Access, jobs: readonly NewJob[]): Promise<(Job | undefined)[] | undefined> {
  const isTimed = jobs.some(({ key, runAt }) => key === null && runAt !== null)
  const rows = await access.execute<AddedRow & PlacedRow>(statement`
    select ${ADDED}, ${toPlace(isTimed)}
    from ${planning(access)}, lateral ${identifier(access.schema)}.add_jobs(array(
      select (task, payload, queue, coalesce(at + (ordinal - 1) * interval '1 microsecond', ${IN_ORDER}),
        attempts, key, priority, flags)::${identifier(access.schema)}.job_spec
      from rows from (json_to_recordset(${toJson(jobs)}::text::json) ${SPEC}
      where ${isUntouched(access)}
    ), planning.mode is null) job`)
  if (rows.length === 0) return undefined
  const byKey = new Map<string, number>()
  for (const [index, { key }] of jobs.entries()) if (key !== null) byKey.set(key, index)
  return inPlace(jobs.length, rows, row => {
    const index = row.key === null ? Number(row.place) : byKey.get(row.key)
    const job = index === undefined ? undefined : jobs[index]
    return { index, job: job && toJob(job, row) }
  })
}

/** Whether no trigger changes jobs during an insert. A trigger could change the times that identify the rows. */
export function isUntouched({ schema }: Access): Statement {
  return statement`0 = (
    select count(*) from pg_trigger
    where tgrelid = ${`${identifier(schema).sql}._private_jobs`}::text::regclass
      and tgenabled <> 'D' and tgtype & ${BEFORE_EACH_INSERT} = ${BEFORE_EACH_INSERT}
  )`
}

/** The bits of a trigger that fires for each row before the insert. */
const BEFORE_EACH_INSERT: Fragment = { sql: '7' }

/** The maximum number of jobs for {@linkcode addTogether}: one for each microsecond of a millisecond. */
export const GROUP_LIMIT = 1_000

/**
 * The time at which a job runs. It does not use `now()`, which stands still in a transaction: the jobs of the next
 * statement must run later. A statement takes longer than a microsecond for each of its jobs.
 */
const IN_ORDER: Fragment = {
  sql: "statement_timestamp() + (coalesce(delay, 0) * 1000 + ordinal - 1) * interval '1 microsecond'"
}

/**
 * The index of a job, from 0, as a column `place`. Times and delays from callers are whole milliseconds, so the
 * microseconds are the index.
 */
export function toPlace(isTimed: boolean): Fragment {
  const base = isTimed ? "'epoch'::timestamptz" : 'statement_timestamp()'
  return { sql: `(date_part('microseconds', job.run_at - ${base})::int % ${GROUP_LIMIT})::text as place` }
}

/** A row of {@linkcode toPlace}. */
export interface PlacedRow {
  readonly place: string
}

/** Puts the jobs of the rows into the order of the call. */
export function inPlace<Row>(
  count: number,
  rows: readonly Row[],
  read: (row: Row) => { readonly index: number | undefined; readonly job: Job | undefined }
): (Job | undefined)[] {
  const added = new Array<Job | undefined>(count).fill(undefined)
  for (const row of rows) {
    const { index, job } = read(row)
    if (index === undefined || index >= count || added[index]) {
      throw new Error('Cannot tell whose jobs the engine returned: something in the database changes when they run')
    }
    added[index] = job
  }
  return added
}

/**
 * Schedules jobs of any kind in order, with one `add_job` for each job, in one statement.
 *
 * @returns the jobs in order, with a gap for each job whose key belonged to a job that a worker took at the same moment
 */
export async function addInTurn(access: Access, jobs: readonly NewJob[]): Promise<(Job | undefined)[]> {
  const isOthers = jobs.some(({ keyMode }) => keyMode === 'unsafe_dedupe')
  const rows = await access.execute<AddedRow & OriginRow & { ordinal: string }>(statement`
    select ordinal::text as ordinal, ${ADDED} ${isOthers ? ORIGIN_IDS : NOTHING}
    from ${planning(access)}, rows from (json_to_recordset(${toJson(jobs)}::text::json) ${SPEC}, lateral ${identifier(access.schema)}.add_job(
      identifier => task,
      payload => payload,
      queue_name => queue,
      run_at => coalesce(at, ${IN_ORDER}),
      max_attempts => spec.attempts,
      job_key => spec.key,
      priority => spec.priority,
      job_key_mode => case when planning.mode is not null then spec.mode end,
      flags => spec.flags
    ) job`)
  const origins = isOthers ? await readOrigins(access, rows) : []
  const added = new Array<Job | undefined>(jobs.length).fill(undefined)
  for (const [place, row] of rows.entries()) {
    const index = Number(row.ordinal) - 1
    const job = jobs[index]
    if (job) added[index] = toJob(origins[place] ?? job, row)
  }
  return added
}

const NOTHING: Fragment = { sql: '' }

/** Schedules jobs without keys in one `add_jobs` and returns nothing. */
export async function addUnseen(access: Access, jobs: readonly NewJob[]): Promise<void> {
  await access.execute(statement`
    select count(*)
    from ${planning(access)}, lateral ${identifier(access.schema)}.add_jobs(array(
      select (task, payload, queue, coalesce(at, ${IN_ORDER}),
        attempts, key, priority, flags)::${identifier(access.schema)}.job_spec
      from rows from (json_to_recordset(${toJson(jobs)}::text::json) ${SPEC}
    ), planning.mode is null) job`)
}

/** Calls `add_jobs` directly, because `add_job` would only call it too. */
function addJobAlone(access: Access, job: NewJob): Statement {
  const { task, payload, queue, runAt, delayMs, maxAttempts, key, priority, keyMode } = job
  // The payload is cast from text: a driver would encode a json parameter once more.
  return statement`
    select ${ADDED}
    from ${planning(access)}, lateral ${identifier(access.schema)}.add_jobs(
      array[(
        ${task}::text,
        ${payload}::text::json,
        ${queue}::text,
        coalesce(${runAt}::text::timestamptz, statement_timestamp() + ${delayMs}::text::float8 * interval '1 millisecond'),
        ${maxAttempts}::text::int2,
        ${key}::text,
        ${priority}::text::int2,
        ${flagsOf(job)}::text::text[]
      )::${identifier(access.schema)}.job_spec],
      planning.mode is not null and ${keyMode}::text = 'preserve_run_at'
    ) job`
}

function addJobOnce(access: Access, job: NewJob): Statement {
  const { task, payload, queue, runAt, delayMs, maxAttempts, key, priority, keyMode } = job
  return statement`
    select ${ADDED} ${ORIGIN_IDS}
    from ${identifier(access.schema)}.add_job(
      identifier => ${task}::text,
      payload => ${payload}::text::json,
      queue_name => ${queue}::text,
      run_at => coalesce(${runAt}::text::timestamptz, statement_timestamp() + ${delayMs}::text::float8 * interval '1 millisecond'),
      max_attempts => ${maxAttempts}::text::int,
      job_key => ${key}::text,
      priority => ${priority}::text::int,
      job_key_mode => ${keyMode}::text,
      flags => ${flagsOf(job)}::text::text[]
    ) job`
}

function limitFlags({ isLimited = false, slots = null }: Pick<NewJob, 'isLimited' | 'slots'>): readonly string[] {
  if (slots !== null) return [LIMITED, `${SLOTS}${slots}`]
  return isLimited ? [LIMITED] : []
}

/** The engine's flags for a job, as an array literal. Most jobs have none. */
export function flagsOf(job: Pick<NewJob, 'version' | 'isLimited' | 'slots' | 'of'>): string | null {
  const flags = [...versionFlags(job.version), ...limitFlags(job), ...occurrenceFlags(job.of)]
  return flags.length === 0 ? null : textArray(flags)
}

/**
 * Makes the engine's functions use generic plans for this transaction: for a single job, planning takes longer than the
 * rest. The SQL that refers to `planning` runs after these settings.
 *
 * Sequential scans are off: otherwise the server would keep a plan made for an empty table and scan the whole table for
 * a key later. Before PostgreSQL 18, this makes the plan look so expensive that the server would compile it, so `jit`
 * is off.
 */
export function planning({ isOurs }: Access): Fragment {
  return {
    sql: isOurs
      ? `concat(
      set_config('plan_cache_mode', 'force_generic_plan', true),
      set_config('enable_seqscan', 'off', true),
      set_config('jit', 'off', true)
    ) planning (mode)`
      : "(values ('')) planning (mode)"
  }
}

/**
 * One parameter for all jobs. With parameters for each job, each number of jobs would need a new statement and a new
 * plan.
 */
function toJson(jobs: readonly NewJob[]): string {
  return `[${jobs.map(toSpec).join(',')}]`
}

/** The payload is JSON text already and is not encoded again. */
function toSpec(job: NewJob): string {
  const { payload, task, queue, runAt, delayMs, maxAttempts, key, priority, keyMode, version } = job
  const flags = [...versionFlags(version), ...limitFlags(job)]
  const rest = {
    task,
    queue: queue ?? undefined,
    at: runAt ?? undefined,
    delay: delayMs || undefined,
    attempts: maxAttempts ?? undefined,
    key: key ?? undefined,
    priority: priority ?? undefined,
    mode: keyMode,
    flags: flags.length === 0 ? undefined : flags
  }
  return `{"payload":${payload},${JSON.stringify(rest).slice(1)}`
}

/** Turns the objects of {@linkcode toJson} into rows, numbered from 1. */
const SPEC: Fragment = {
  sql: `as (task text, payload json, queue text, at timestamptz, delay float8, attempts int2, key text, priority int2,
      mode text, flags text[])
    ) with ordinality as spec (task, payload, queue, at, delay, attempts, key, priority, mode, flags, ordinal)`
}
