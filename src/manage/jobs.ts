import { refuseUnknown } from '../check/options.ts'
import type { ListedJob } from '../job.ts'
import { type JobReference, toTarget } from '../reference.ts'
import type { JobState, RunState } from '../rules/states.ts'
import type { Run } from '../run.ts'
import { findJob, findJobs, findLiveLog } from '../sql/ledger/jobs.ts'
import { findRunsOf } from '../sql/ledger/runs.ts'
import type { Access } from '../sql/statement.ts'
import { readJobsCursor, writeJobsCursor } from './cursor.ts'
import { JOB_FILTER, type JobFilter, PAGE, type PageOptions, toJobConditions, toLimit } from './filter.ts'

/** A page of jobs. */
export interface JobsPage {
  /** When the page was read, by the database's clock. */
  readonly at: Date
  /** The jobs, the last scheduled first. */
  readonly jobs: readonly ListedJob[]
  /** The cursor of the next page; absent on the last page. */
  readonly cursor?: string | undefined
}

/** Everything about one job. After the job's end, this comes from its last run. */
export interface JobDetails extends Omit<ListedJob, 'state'> {
  /** When this was read, by the database's clock. */
  readonly at: Date
  /**
   * What the job is doing, or how it ended. `gone`: the job was deleted before its end, or the run with which it ended
   * is not kept.
   */
  readonly state: JobState | RunState | 'gone'
  /** Whether the job is gone: it succeeded, was cancelled or was deleted. */
  readonly isGone: boolean
  /** The lines that the current run has logged so far, or `null` if there are none. */
  readonly log: unknown
  /** The runs that the ledger keeps, the latest first, at most 100. */
  readonly runs: readonly Run[]
}

/** Reads a page of jobs. */
export function readJobs(options: JobFilter & PageOptions): (access: Access) => Promise<JobsPage> {
  const doing = 'list jobs'
  refuseUnknown(options, { ...JOB_FILTER, ...PAGE }, doing, 'condition')
  const conditions = toJobConditions(options, doing)
  const limit = toLimit(options, doing)
  const before = readJobsCursor(options.cursor)
  return async access => {
    // One more tells whether there is another page.
    const { at, jobs: found } = await findJobs(access, conditions, before, limit + 1)
    const jobs = found.slice(0, limit)
    const last = found.length > limit ? jobs.at(-1) : undefined
    return { at, jobs, ...(last && { cursor: writeJobsCursor(last.id) }) }
  }
}

/** Reads everything about one job. */
export function readJob(reference: JobReference): (access: Access) => Promise<JobDetails | undefined> {
  const target = toTarget(reference, 'look at')
  return async access => {
    const { at, job } = await findJob(access, target)
    const id = job?.id ?? ('id' in target ? target.id : undefined)
    if (id === undefined) return undefined
    const log = job?.state === 'running' ? await findLiveLog(access, id) : null
    // If the job has ended since the first statement, the second finds its run.
    const found = await findRunsOf(access, id, { after: null, limit: MOST_RUNS })
    const runs = found.flatMap(({ run }) => run ?? [])
    if (job) return { at, ...job, isGone: false, log, runs }
    return runs[0] && toGone(at, runs[0], runs)
  }
}

function toGone(at: Date, last: Run, runs: readonly Run[]): JobDetails {
  const { job: id, task, queue, key, payload, priority, attempt, maxAttempts, worker, error } = last
  return {
    at,
    id,
    task,
    queue,
    key,
    state: last.isOver ? last.state : 'gone',
    payload,
    priority,
    attempts: attempt,
    maxAttempts,
    scheduledAt: last.scheduledAt,
    schedule: last.schedule,
    occurrence: last.occurrence,
    runAt: last.runAt,
    fetchedAt: last.startedAt,
    worker,
    error: error?.message ?? null,
    progress: null,
    progressMessage: null,
    updatedAt: last.finishedAt,
    isGone: true,
    log: null,
    runs
  }
}

const MOST_RUNS = 100
