import type { Names } from '../check/options.ts'
import { checkWholeNumber } from '../check/values.ts'
import { toMilliseconds } from '../duration.ts'
import type { JobFilter, JobState, PageOptions, RunFilter } from '../inspect.ts'
import type { JobConditions } from '../sql/ledger/conditions.ts'
import type { RunConditions } from '../sql/ledger/runs.ts'
import { RUN_STATES } from '../sql/ledger/schema.ts'
import { nameOfTask } from '../task.ts'
import { describe } from '../text/describe.ts'
import { toTarget } from './reschedule.ts'

/** The states of jobs that are not done. */
export const JOB_STATES: readonly JobState[] = ['waiting', 'scheduled', 'running', 'retrying', 'failed']

/**
 * Which jobs a caller means.
 *
 * @throws {TypeError} if a condition is of the wrong type, or there is no such condition
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
 * Which runs a caller means, once it is known what time it is by the database's clock.
 *
 * @throws {TypeError} if a condition is of the wrong type, or there is no such condition
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

/** How many entries a page holds. */
export function toLimit({ limit = DEFAULT_LIMIT }: PageOptions, doing: string): number {
  checkWholeNumber(limit, [1, MOST], doing, 'limit')
  return limit
}

/** What a filter of jobs may hold. */
export const JOB_FILTER: Names<JobFilter> = { state: true, task: true, queue: true, search: true }

/** What a filter of runs may hold. */
export const RUN_FILTER: Names<RunFilter> = {
  job: true,
  task: true,
  queue: true,
  state: true,
  since: true,
  search: true
}

/** What says which page is meant. */
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

function toTask(task: unknown, doing: string): string | null {
  if (task === undefined) return null
  // By name, jobs of tasks may be meant that others have scheduled, by whatever name.
  const name = nameOfTask(task, doing)
  return checkText(name, doing, 'task')
}

function toQueue(queue: unknown, doing: string): string | null {
  if (queue === undefined) return null
  const name = typeof queue === 'object' && queue !== null && 'name' in queue ? queue.name : queue
  if (typeof name === 'string') return checkText(name, doing, 'queue')
  throw new TypeError(`Cannot ${doing}: queue is ${describe(queue)}, neither a queue nor a name`)
}

function toSearch(search: unknown, doing: string): string | null {
  if (search === undefined) return null
  if (typeof search === 'string') return search === '' ? null : checkText(search, doing, 'search')
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

/** What no text in the database can hold. */
function checkText(text: string, doing: string, name: string): string {
  if (text.includes('\u0000')) {
    throw new TypeError(`Cannot ${doing}: ${name} holds a character that PostgreSQL cannot hold`)
  }
  return text
}

const DEFAULT_LIMIT = 50
const MOST = 1_000
