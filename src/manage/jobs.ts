import { refuseUnknown } from '../check/options.ts'
import type { JobDetails, JobFilter, JobsPage, PageOptions, Run, RunFilter, RunsPage } from '../inspect.ts'
import type { JobReference } from '../schedule.ts'
import { findJob, findJobs, findLiveLog } from '../sql/ledger/jobs.ts'
import { findRunsOf, type RunPosition, readClock } from '../sql/ledger/runs.ts'
import type { Access } from '../sql/statement.ts'
import { readJobsCursor, readRunsCursor, writeJobsCursor, writeRunsCursor } from './cursor.ts'
import { JOB_FILTER, PAGE, RUN_FILTER, toJobConditions, toLimit, toRunConditions } from './filter.ts'
import { toTarget } from './reschedule.ts'
import { walkRuns } from './runs.ts'

/** Reads something, once it is known where from. */
export type Read<Result> = (access: Access) => Promise<Result>

/** Reads a page of jobs. */
export function readJobs(options: JobFilter & PageOptions): Read<JobsPage> {
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

/** Reads a page of runs. */
export function readRuns(options: RunFilter & PageOptions): Read<RunsPage> {
  const doing = 'list runs'
  refuseUnknown(options, { ...RUN_FILTER, ...PAGE }, doing, 'condition')
  const conditionsAt = toRunConditions(options, doing)
  const limit = toLimit(options, doing)
  const after = readRunsCursor(options.cursor)
  return async access => {
    const at = await readClock(access)
    const conditions = conditionsAt(at)
    const runs: Run[] = []
    let last: RunPosition | undefined
    let looks = 0
    for await (const { position, run } of walkRuns(access, conditions, { at, after, limit: limit + 1 })) {
      const isFull = (run && runs.length === limit) || looks++ === MOST_LOOKS
      if (isFull) return { at, runs, ...(last && { cursor: writeRunsCursor(last) }) }
      if (run) runs.push(run)
      last = position
    }
    return { at, runs }
  }
}

/** Reads everything about one job. */
export function readJob(reference: JobReference): Read<JobDetails | undefined> {
  const target = toTarget(reference, 'look at')
  return async access => {
    const { at, job } = await findJob(access, target)
    const id = job?.id ?? ('id' in target ? target.id : undefined)
    if (id === undefined) return undefined
    const log = job?.state === 'running' ? await findLiveLog(access, id) : null
    // If it has ended since the first look, its run is there at the second.
    const found = await findRunsOf(access, id, { after: null, limit: MOST_RUNS })
    const runs = found.flatMap(({ run }) => run ?? [])
    if (job) return { at, ...job, isGone: false, log, runs }
    return runs[0] && toGone(at, runs[0], runs)
  }
}

/** What is known of a job by its last run. */
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

/** How many runs a page of a search looks at. */
const MOST_LOOKS = 10_000
/** How many runs of one job are shown. */
const MOST_RUNS = 100
