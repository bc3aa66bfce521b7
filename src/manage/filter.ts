import type { Names } from '../check/options.ts'
import { checkWholeNumber } from '../check/values.ts'
import { type Duration, toMilliseconds } from '../duration.ts'
import type { Queue } from '../queue.ts'
import { toTarget } from '../reference.ts'
import { JOB_STATES, type JobState, RUN_STATES, type RunState } from '../rules/states.ts'
import type { JobConditions } from '../sql/ledger/conditions.ts'
import type { RunConditions } from '../sql/ledger/runs.ts'
import { type AnyTask, nameOfTask } from '../task.ts'
import { describe } from '../text/describe.ts'

/** Conditions on jobs. A job must meet all of them. */
export interface JobFilter {
  /**
   * One state, or any of several.
   *
   * @default all
   */
  state?: JobState | readonly JobState[]
  /**
   * The task, or its name.
   *
   * @default all
   */
  task?: AnyTask | string
  /**
   * The queue, or its name.
   *
   * @default all, and jobs without a queue
   */
  queue?: Queue | string
  /**
   * The job's id, or a part of its key, its task's name, its last error or its payload's JSON, in upper or lower case.
   *
   * @default anything
   */
  search?: string
}

/** Conditions on runs. A run must meet all of them. */
export interface RunFilter extends Pick<JobFilter, 'task' | 'queue'> {
  /** The job, or its id. */
  job?: string | { readonly id: string }
  /**
   * One state, or any of several.
   *
   * @default all
   */
  state?: RunState | readonly RunState[]
  /**
   * Only runs that ended at this time or later. A duration counts back from now, by the database's clock.
   *
   * @default all that are kept
   */
  since?: Date | Duration
  /**
   * The job's id, or a part of its key or of the error's message, in upper or lower case. A page searches the newest
   * 10,000 runs that meet the other conditions; its cursor continues from there.
   *
   * @default anything
   */
  search?: string
}

/** A page of a list. */
export interface PageOptions {
  /**
   * The most entries of a page: a whole number from 1 to 1,000.
   *
   * @default 50
   */
  limit?: number
  /**
   * The `cursor` of the page before.
   *
   * @default the first page
   */
  cursor?: string | undefined
}

/**
 * Reads which jobs a filter means.
 *
 * @throws {TypeError} if a condition has the wrong type
 */
export function toJobConditions(filter: JobFilter, doing: string): JobConditions {
  const { state, task, queue, search } = filter
  return {
    states: toStates(state, JOB_STATES, doing),
    task: toTask(task, doing),
    queue: toQueue(queue, doing),
    search: toSearch(search, doing)
  }
}

/**
 * Reads which runs a filter means, given the time of the database.
 *
 * @throws {TypeError} if a condition has the wrong type
 */
export function toRunConditions(filter: RunFilter, doing: string): (at: Date) => RunConditions {
  const { job, state, task, queue, since, search } = filter
  const sinceSeconds = toSeconds(since, doing)
  const conditions = {
    job: toJobId(job, doing),
    states: toStates(state, RUN_STATES, doing),
    task: toTask(task, doing),
    queue: toQueue(queue, doing),
    search: toSearch(search, doing)
  }
  return at => ({ ...conditions, sinceSeconds: sinceSeconds(at) })
}

/** Reads how many entries a page has. */
export function toLimit({ limit = DEFAULT_LIMIT }: PageOptions, doing: string): number {
  checkWholeNumber(limit, [1, MOST], doing, 'limit')
  return limit
}

/** The conditions of {@linkcode JobFilter}. */
export const JOB_FILTER: Names<JobFilter> = { state: true, task: true, queue: true, search: true }

/** The conditions of {@linkcode RunFilter}. */
export const RUN_FILTER: Names<RunFilter> = {
  job: true,
  task: true,
  queue: true,
  state: true,
  since: true,
  search: true
}

/** The names of the {@linkcode PageOptions}, for checks. */
export const PAGE: Names<PageOptions> = { limit: true, cursor: true }

function toStates<State extends string>(
  given: unknown,
  known: readonly State[],
  doing: string
): readonly State[] | null {
  if (given === undefined) return null
  const states: readonly unknown[] = Array.isArray(given) ? given : [given]
  if (states.length === 0) throw new TypeError(`Cannot ${doing}: state is an empty array`)
  return states.map(state => {
    const found = known.find(candidate => candidate === state)
    if (found === undefined)
      throw new TypeError(`Cannot ${doing}: state is ${describe(state)}, none of ${known.join(', ')}`)
    return found
  })
}

/** Reads the name of a task. */
export function toTask(task: unknown, doing: string): string | null {
  if (task === undefined) return null
  // Any name will do: other programs may schedule tasks under names that we would refuse.
  const name = nameOfTask(task, doing)
  return checkNoNul(name, doing, 'task')
}

function toQueue(queue: unknown, doing: string): string | null {
  if (queue === undefined) return null
  const name = typeof queue === 'object' && queue !== null && 'name' in queue ? queue.name : queue
  if (typeof name === 'string') return checkNoNul(name, doing, 'queue')
  throw new TypeError(`Cannot ${doing}: queue is ${describe(queue)}, neither a queue nor a name`)
}

/** Reads a text to search for. */
export function toSearch(search: unknown, doing: string): string | null {
  if (search === undefined) return null
  if (typeof search === 'string') return search === '' ? null : checkNoNul(search, doing, 'search')
  throw new TypeError(`Cannot ${doing}: search is ${describe(search)}, not a string`)
}

function toJobId(job: RunFilter['job'], doing: string): string | null {
  if (job === undefined) return null
  const target = toTarget(job, doing.replace(/ \w+$/, ' runs of'))
  if ('id' in target) return target.id
  throw new TypeError(`Cannot ${doing}: job is given by its key, and several jobs may have had it. Give its id`)
}

function toSeconds(since: RunFilter['since'], doing: string): (at: Date) => number | null {
  if (since === undefined) return () => null
  if (since instanceof Date) {
    const seconds = since.getTime() / 1_000
    if (Number.isNaN(seconds)) throw new TypeError(`Cannot ${doing}: since is an invalid date`)
    return () => seconds
  }
  const agoMs = toMilliseconds(since, doing, 'since')
  return at => (at.getTime() - agoMs) / 1_000
}

/** PostgreSQL refuses such a text as a parameter. */
function checkNoNul(text: string, doing: string, name: string): string {
  if (!text.includes('\u0000')) return text
  throw new TypeError(`Cannot ${doing}: ${name} holds a character that PostgreSQL cannot hold`)
}

const DEFAULT_LIMIT = 50
const MOST = 1_000
