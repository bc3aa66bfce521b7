import { ENDING_STATES, FAILURE_STATES, RUN_STATES, type RunState } from '../../rules/states.ts'
import type { Run, RunError } from '../../run.ts'
import { ownSchema } from '../names.ts'
import { type Access, allOf, type Fragment, identifier, type Statement, statement, textArray } from '../statement.ts'
import { isDueSinceEver, toDate } from '../times.ts'
import { toPattern } from './conditions.ts'

/** Conditions on a run. `null` means no condition. */
export interface RunConditions {
  readonly job: string | null
  readonly states: readonly RunState[] | null
  readonly task: string | null
  readonly queue: string | null
  readonly sinceSeconds: number | null
  readonly search: string | null
}

/** The position of a run in the list. Its time is in seconds since 1970, exact to the microsecond. */
export interface RunPosition {
  readonly finishedSeconds: string
  readonly job: string
  readonly attempt: number
}

/** Whole days, from one midnight to another, in seconds since 1970; `null` for no bound. */
export interface Span {
  readonly fromSeconds: number | null
  readonly toSeconds: number | null
}

/** A run that a search has read. `run` is `undefined` if the run does not match the search. */
export interface FoundRun {
  readonly position: RunPosition
  readonly run: Run | undefined
}

/** A part of the list of runs. */
export interface RunsPart {
  readonly span: Span
  /** Only runs after this position in the list. */
  readonly after: RunPosition | null
  readonly limit: number
}

/**
 * Finds runs of a span, the latest first. The statement queries successes and failures separately: they are in
 * different partitions, and the server skips partitions only if it knows which of the two a query needs.
 */
export async function findRuns(access: Access, conditions: RunConditions, part: RunsPart): Promise<FoundRun[]> {
  const { states, search } = conditions
  const { limit } = part
  const wanted = states ?? RUN_STATES
  const halves = HALVES.map(half => ({ ...half, states: wanted.filter(state => half.has(state)) }))
  const [first, second] = halves.filter(half => half.states.length > 0)
  if (!first) return []
  const both = second && statement`union all (${pageOf(access, conditions, part, second)})`
  const rows = await access.execute<FoundRow>(statement`
    select
      ${POSITION},
      case when ${search === null ? statement`true` : allOf([matching(search), inStates(wanted)])} then row_to_json(page) end::text as json
    from (
      select * from ((${pageOf(access, conditions, part, first)}) ${both ?? { sql: '' }}) run
      ${newestFirst(limit)}
    ) page
    ${NEWEST_FIRST}`)
  return rows.map(toFoundRun)
}

/** The two parts of the ledger: failures, and all other runs. `usual` is the most frequent state in a part. */
const HALVES = [
  { isFailure: false, usual: 'succeeded', has: (state: RunState) => !FAILURE_STATES.includes(state) },
  { isFailure: true, usual: 'failed', has: (state: RunState) => FAILURE_STATES.includes(state) }
] as const

interface Half {
  readonly isFailure: boolean
  readonly usual: RunState
  readonly has: (state: RunState) => boolean
  /** The wanted states of this part. */
  readonly states: readonly RunState[]
}

/** For any filter, a page reads few runs beyond its own, even if the ledger holds ten million runs. */
function pageOf(access: Access, conditions: RunConditions, part: RunsPart, half: Half): Statement {
  return isByTime(conditions, half)
    ? newestOf(access, conditions, part, half)
    : pickedOf(access, conditions, part, half)
}

/** Whether almost all runs that a query by time alone reads are wanted. A search may read a few other runs. */
function isByTime({ task, queue, search }: RunConditions, { states, usual, has }: Half): boolean {
  if (task !== null || queue !== null) return false
  return RUN_STATES.filter(has).every(state => states.includes(state)) || (search !== null && states.includes(usual))
}

/**
 * Sorts by the expression of an index that no other query uses. The statement has only one condition on the position:
 * with more conditions, the server would expect so few rows that it would sort them.
 */
function newestOf(access: Access, conditions: RunConditions, { span, after, limit }: RunsPart, half: Half): Statement {
  const following = after
    ? statement`(finished_at at time zone 'UTC', job_id, attempt) < (
        to_timestamp(${after.finishedSeconds}::text::float8) at time zone 'UTC',
        ${after.job}::text::bigint,
        ${after.attempt}::text::int2
      )`
    : statement`true`
  return statement`
    select run.*
    from ${ledger(access)} run
    where ${allOf([...within(span, half), ...since(conditions), following])}
    order by finished_at at time zone 'UTC' desc, job_id desc, attempt desc limit ${{ sql: String(limit) }}`
}

/**
 * The other indexes of the ledger start with task and state, or with queue, task and state, followed by the time. So
 * the statement reads one page of runs for each task and each state, and takes the newest of these runs.
 */
function pickedOf(access: Access, conditions: RunConditions, { span, after, limit }: RunsPart, half: Half): Statement {
  return statement`
    with recursive names (task) as ${namesOf(access, conditions, span, half)}
    select run.*
    from names,
      unnest(${textArray(half.states)}::text::text[]) as wanted (state),
      lateral (
        select * from ${ledger(access)} run
        where ${allOf([
          statement`run.task = names.task`,
          statement`run.state = wanted.state`,
          ...ofQueue(conditions),
          ...within(span, half),
          ...since(conditions),
          ...following(after)
        ])}
        ${newestFirst(limit)}
      ) run
    where names.task is not null
    ${newestFirst(limit)}`
}

/** Finds the runs of one job, the latest first. */
export async function findRunsOf(
  access: Access,
  job: string,
  { after, limit }: Omit<RunsPart, 'span'>,
  { states, task, queue, search, ...rest }: Omit<RunConditions, 'job'> = NO_CONDITIONS
): Promise<FoundRun[]> {
  const conditions = [statement`job_id = ${job}::text::bigint`, ...since(rest), ...following(after)]
  if (states) conditions.push(inStates(states))
  if (task !== null) conditions.push(statement`task = ${task}::text`)
  if (queue !== null) conditions.push(statement`queue = ${queue}::text`)
  if (search !== null) conditions.push(matching(search))
  const rows = await access.execute<FoundRow>(statement`
    select ${POSITION}, row_to_json(page)::text as json
    from (select * from ${ledger(access)} where ${allOf(conditions)} ${newestFirst(limit)}) page
    ${NEWEST_FIRST}`)
  return rows.map(toFoundRun)
}

const NO_CONDITIONS = { states: null, task: null, queue: null, search: null, sinceSeconds: null }

/**
 * The names of the tasks whose runs the statement reads. The statement finds each name from the previous one, because
 * the index leads straight to the next name. To collect all names at once, the server would read the whole index.
 */
function namesOf(access: Access, conditions: RunConditions, span: Span, half: Half): Statement {
  if (conditions.task !== null) return statement`(values (${conditions.task}::text))`
  const next = (more: readonly Statement[]): Statement => statement`
    select run.task from ${ledger(access)} run
    where ${allOf([...ofQueue(conditions), ...within(span, half), ...more])}
    order by run.task limit 1`
  return statement`(
      (${next([])})
      union all
      select (${next([statement`run.task > names.task`])}) from names where names.task is not null
    )`
}

function ofQueue({ queue }: RunConditions): Statement[] {
  return queue === null ? [] : [statement`run.queue = ${queue}::text`]
}

/**
 * The bounds are literals, and `to_timestamp` does not depend on settings, so the server knows the partitions when it
 * plans.
 */
function within({ fromSeconds, toSeconds }: Span, { isFailure }: Half): Statement[] {
  const bounds = [statement`is_failure = ${{ sql: String(isFailure) }}`]
  if (fromSeconds !== null) bounds.push(statement`finished_at >= to_timestamp(${{ sql: String(fromSeconds) }})`)
  if (toSeconds !== null) bounds.push(statement`finished_at < to_timestamp(${{ sql: String(toSeconds) }})`)
  return bounds
}

function since({ sinceSeconds }: Pick<RunConditions, 'sinceSeconds'>): Statement[] {
  return sinceSeconds === null ? [] : [statement`finished_at >= to_timestamp(${sinceSeconds}::text::float8)`]
}

function following(after: RunPosition | null): Statement[] {
  if (!after) return []
  const { finishedSeconds, job, attempt } = after
  return [
    statement`finished_at <= to_timestamp(${finishedSeconds}::text::float8)`,
    statement`(finished_at, job_id, attempt) <
      (to_timestamp(${finishedSeconds}::text::float8), ${job}::text::bigint, ${attempt}::text::int2)`
  ]
}

function matching(search: string): Statement {
  const pattern = toPattern(search)
  return statement`(
    job_id::text = ${search}::text or key ilike ${pattern}::text or error ->> 'message' ilike ${pattern}::text
  )`
}

function inStates(states: readonly RunState[]): Statement {
  return statement`state = any(${textArray(states)}::text::text[])`
}

function ledger({ schema }: Access): Fragment {
  return { sql: `${identifier(ownSchema(schema)).sql}.ledger` }
}

function newestFirst(limit: number): Fragment {
  return { sql: `${NEWEST_FIRST.sql} limit ${limit}` }
}

const NEWEST_FIRST: Fragment = { sql: 'order by finished_at desc, job_id desc, attempt desc' }

const POSITION: Fragment = {
  sql: 'job_id::text as job, attempt::text as attempt, extract(epoch from finished_at)::numeric(20, 6)::text as finished'
}

interface FoundRow {
  readonly job: string
  readonly attempt: string
  readonly finished: string
  readonly json: string | null
}

interface RunRow extends Pick<Run, 'task' | 'queue' | 'key' | 'state' | 'attempt' | 'priority' | 'worker'> {
  readonly max_attempts: number
  readonly scheduled_at: string
  readonly ready_at: string
  readonly started_at: string | null
  readonly finished_at: string
  readonly error: RunError | null
  readonly result: unknown
  readonly payload: unknown
  readonly log: unknown
  readonly trace_id: string | null
  readonly schedule: string | null
  readonly occurrence: string | null
  readonly is_over: boolean | null
  readonly result_problem: string | null
}

function toFoundRun({ job, attempt, finished, json }: FoundRow): FoundRun {
  const position = { finishedSeconds: finished, job, attempt: Number(attempt) }
  return { position, run: json === null ? undefined : toRun(job, JSON.parse(json)) }
}

function toRun(job: string, row: RunRow): Run {
  const { task, queue, key, state, attempt, priority, worker, error, result, payload, log } = row
  const [scheduledAt, runAt, finishedAt] = [toDate(row.scheduled_at), toDate(row.ready_at), toDate(row.finished_at)]
  const startedAt = row.started_at === null ? null : toDate(row.started_at)
  return {
    job,
    task,
    queue,
    key,
    state,
    attempt,
    maxAttempts: row.max_attempts,
    priority,
    scheduledAt,
    schedule: row.schedule,
    occurrence: row.occurrence === null ? null : toDate(row.occurrence),
    runAt,
    startedAt,
    finishedAt,
    waitedMs: startedAt && Math.max(0, startedAt.getTime() - (isDueSinceEver(runAt) ? scheduledAt : runAt).getTime()),
    tookMs: startedAt && Math.max(0, finishedAt.getTime() - startedAt.getTime()),
    worker,
    error,
    result,
    payload,
    log,
    traceId: row.trace_id,
    isOver: row.is_over ?? ENDING_STATES.includes(state),
    resultProblem: row.result_problem
  }
}
