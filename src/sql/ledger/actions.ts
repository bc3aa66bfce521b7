import { ACTIONS, type Action, isForAllStates } from '../../rules/actions.ts'
import type { Target } from '../jobs/waiting.ts'
import { ATTEMPTS, CANCELLED } from '../names.ts'
import { type Access, allOf, type Fragment, identifier, type Statement, statement, textArray } from '../statement.ts'
import { LOST, STARTED } from '../worker/rescue.ts'
import { type JobConditions, toConditions } from './conditions.ts'
import { reopening } from './record.ts'
import { inState, WHILE_FREE } from './state.ts'

/** The jobs to which an action applies: the named jobs, or the jobs that match a filter. */
export type Chosen = { readonly targets: readonly Target[] } | { readonly conditions: JobConditions }

/** A part of the chosen jobs: those with ids above `after`, up to `upTo`. */
export interface Part {
  readonly after: string
  readonly upTo: string
  readonly limit: number
}

interface LockedRow {
  readonly id: string
  readonly key: string | null
  readonly held: string
  readonly fit: string
  readonly marked: string
  readonly over: string
}

/** A chosen job. */
export interface ChosenJob {
  readonly id: string
  readonly key: string | null
  /** Whether a worker has the job. */
  readonly isHeld: boolean
  /** Whether the action applies to the job in its state. Then the job is locked until the transaction ends. */
  readonly isFit: boolean
  /** Whether the job has a flag of an earlier cancellation, lost worker or final failure. */
  readonly isMarked: boolean
  /** Whether the job has failed for good. */
  readonly isOver: boolean
}

/** The highest id of a job, so that the caller can leave later jobs alone. */
export async function highestJob({ execute, schema }: Access): Promise<string> {
  const [row] = await execute<{ id: string }>(statement`
    select coalesce(max(id), 0)::text as id from ${identifier(schema)}._private_jobs`)
  return row?.id ?? '0'
}

/**
 * Locks the jobs to which an action applies, and also returns the other chosen jobs. A job may change between the
 * search and the lock, so the statement checks its state again. It never locks a job that a worker has: the worker
 * changes its jobs in its own order.
 */
export async function lockJobs(access: Access, action: Action, chosen: Chosen, part: Part): Promise<ChosenJob[]> {
  const rows = await access.execute<LockedRow>(
    statement`
    with ${choose(access, action, chosen, part)}, locked as (
      select
        job.id,
        coalesce(job.flags ?| ${textArray(MARKS)}::text::text[], false) as marked,
        job.attempts >= job.max_attempts as over
      from ${identifier(access.schema)}._private_jobs job
      where job.id in (select id from found) and ${fitFor(access, action, chosen)}
      order by job.id
      for update
    )
    select
      found.id::text as id,
      found.key,
      found.held::text as held,
      (locked.id is not null)::text as fit,
      coalesce(locked.marked, false)::text as marked,
      coalesce(locked.over, false)::text as over
    from found left join locked on locked.id = found.id
    order by found.id`
  )
  return rows.map(({ id, key, held, fit, marked, over }) => ({
    id,
    key,
    isHeld: held === 'true',
    isFit: fit === 'true',
    isMarked: marked === 'true',
    isOver: over === 'true'
  }))
}

/** Returns the same jobs as {@linkcode lockJobs}, but locks nothing. */
export async function lookAtJobs(access: Access, action: Action, chosen: Chosen, part: Part): Promise<ChosenJob[]> {
  const rows = await access.execute<{ id: string; key: string | null; held: string; fit: string }>(statement`
    with ${choose(access, action, chosen, part)}
    select found.id::text as id, found.key, found.held::text as held, (${fitFor(access, action, chosen)})::text as fit
    from found join ${identifier(access.schema)}._private_jobs job on job.id = found.id
    order by found.id`)
  return rows.map(({ id, key, held, fit }) => ({
    id,
    key,
    isHeld: held === 'true',
    isFit: fit === 'true',
    isMarked: false,
    isOver: false
  }))
}

/** Removes jobs. The caller holds locks on the jobs. */
export async function removeJobs({ execute, schema }: Access, ids: readonly string[]): Promise<void> {
  await execute(statement`
    select count(*)::text from ${identifier(schema)}.complete_jobs(${textArray(ids)}::text::bigint[])`)
}

/** Reopens jobs in the ledger: they had failed for good and run again. The caller holds locks on the jobs. */
export async function reopenJobs({ execute, schema }: Access, ids: readonly string[]): Promise<void> {
  await execute({ text: reopening(schema, '$1::text::bigint[]').sql, values: [textArray(ids)] })
}

/**
 * Removes the flags of a job's past. With these flags, a worker would end the job again. The caller holds locks on the
 * jobs.
 */
export async function forgetPast({ execute, schema }: Access, ids: readonly string[]): Promise<void> {
  await execute(statement`
    update ${identifier(schema)}._private_jobs
    set flags = nullif(flags - ${textArray(MARKS)}::text::text[], '{}'), updated_at = now()
    where id = any(${textArray(ids)}::text::bigint[])`)
}

/**
 * Makes jobs due now, in order, and notifies workers: otherwise they would only find the jobs at their next poll. The
 * caller holds locks on the jobs.
 *
 * @param attempts the number of attempts made at each job; `null` leaves it unchanged
 */
export async function makeDue(
  { execute, schema }: Access,
  ids: readonly string[],
  attempts: number | null
): Promise<void> {
  await execute(statement`
    select count(*)::text, pg_notify('jobs:insert', json_build_object('count', count(*))::text)::text
    from unnest(${textArray(ids)}::text::bigint[]) with ordinality as due (id, position),
    lateral ${identifier(schema)}.reschedule_jobs(
      array[due.id],
      run_at => statement_timestamp() - (${ids.length}::text::int - due.position) * interval '1 microsecond',
      attempts => ${attempts}::text::int
    ) rescheduled`)
}

/** The flags of a job's past. */
const MARKS = [CANCELLED, LOST, STARTED, ATTEMPTS]

function choose(access: Access, action: Action, chosen: Chosen, { after, upTo, limit }: Part): Statement {
  return statement`found as (
      select job.id, job.key, job.locked_at is not null as held
      from ${identifier(access.schema)}._private_jobs job
      where ${allOf([...toChoice(access, action, chosen), statement`job.id > ${after}::text::bigint and job.id <= ${upTo}::text::bigint`])}
      order by job.id
      limit ${{ sql: String(limit) }}
    )`
}

function toChoice(access: Access, action: Action, chosen: Chosen): Statement[] {
  if ('conditions' in chosen) {
    const usual = isForAllStates(action) ? null : ACTIONS[action].states
    return toConditions(access, { ...chosen.conditions, states: chosen.conditions.states ?? usual })
  }
  const ids = chosen.targets.flatMap(target => ('id' in target ? target.id : []))
  const keys = chosen.targets.flatMap(target => ('key' in target ? target.key : []))
  const byId = statement`job.id = any(${textArray(ids)}::text::bigint[])`
  return [keys.length === 0 ? byId : statement`(${byId} or job.key = any(${textArray(keys)}::text::text[]))`]
}

/** The conditions under which an action applies to a job of the engine, called `job`. */
function fitFor(access: Access, action: Action, chosen: Chosen): Statement {
  const states = 'conditions' in chosen ? chosen.conditions.states : null
  const ofStates = states?.map(state => inState(access, state).sql).join(' or ')
  const conditions = [statement`job.locked_at is null`, statement`${fitWhileFree(action)}`]
  return allOf(ofStates === undefined ? conditions : [...conditions, statement`(${{ sql: ofStates }})`])
}

function fitWhileFree(action: Action): Fragment {
  if (isForAllStates(action)) return { sql: 'true' }
  const inStates = ACTIONS[action].states.map(state => `(${WHILE_FREE[state as keyof typeof WHILE_FREE]})`).join(' or ')
  // A job that waits for its next attempt may be due already.
  return { sql: action === 'runNow' ? `(${inStates}) and job.run_at > now()` : `(${inStates})` }
}
