import { setTimer, type Timer } from '../async/timer.ts'
import { type Names, refuseUnknown } from '../check/options.ts'
import { toTimeLimit } from '../duration.ts'
import { BackgroundError } from '../errors.ts'
import type { ResultOptions } from '../job.ts'
import { resultTimings } from '../rules/timings.ts'
import type { JobEnd } from '../sql/ledger/waiters.ts'
import { describeState, toOutcome } from './outcome.ts'

/** A job that calls wait for, and these calls. */
export interface AwaitedJob {
  readonly id: string
  readonly waiters: Set<Waiter>
  /** A time at which the job had not ended, in ISO 8601, if one is known. */
  since: string | null
  /** Whether the wait is registered in the database, over the current connection. */
  isRegistered: boolean
  /** When to look at the job, by this process's `performance.now()`. */
  lookAtMs: number
  /** The pause between that look and the next one. */
  pauseMs: number
  /** What the last look found. */
  seen: JobEnd | undefined
}

/** The names of the {@linkcode ResultOptions}, for checks. */
export const RESULT_OPTIONS: Names<ResultOptions> = { timeout: true, signal: true }

/** One call that waits. */
export interface Waiter {
  /** Whether its time is up, so that it waits only for a last look. */
  isLate: boolean
  readonly timeoutMs: number | undefined
  resolve(value: unknown): void
  reject(reason: unknown): void
}

/** The jobs that this process waits for, by id. */
export type AwaitedJobs = Map<string, AwaitedJob>

/**
 * Adds a call.
 *
 * @param wake called when there is something to do
 */
export function addWaiter(
  jobs: AwaitedJobs,
  { id, since }: { readonly id: string; readonly since: string | null },
  options: ResultOptions,
  wake: (left?: string) => void
): Promise<unknown> {
  refuseUnknown(options, RESULT_OPTIONS, 'wait for a result')
  const { timeout, signal } = options
  const timeoutMs = timeout === undefined ? undefined : toTimeLimit(timeout, 'wait for a result', 'timeout')
  signal?.throwIfAborted()
  let job = jobs.get(id)
  if (!job) {
    job = {
      id,
      waiters: new Set(),
      since,
      isRegistered: false,
      lookAtMs: 0,
      pauseMs: resultTimings.pauses.leastMs,
      seen: undefined
    }
    jobs.set(id, job)
  }
  const awaited = job
  return new Promise<unknown>((resolve, reject) => {
    let timer: Timer | undefined
    const leave = (): void => {
      timer?.clear()
      signal?.removeEventListener('abort', abort)
      awaited.waiters.delete(waiter)
      if (awaited.waiters.size > 0 || jobs.get(id) !== awaited) return
      jobs.delete(id)
      wake(id)
    }
    const waiter: Waiter = {
      isLate: false,
      timeoutMs,
      resolve(value) {
        leave()
        resolve(value)
      },
      reject(reason) {
        leave()
        reject(reason)
      }
    }
    const abort = (): void => waiter.reject(signal?.reason)
    const giveUp = (): void => waiter.reject(tooLate(awaited, waiter))
    const expire = (): void => {
      waiter.isLate = true
      awaited.lookAtMs = 0
      timer = setTimer(resultTimings.lastLookMs, giveUp)
      wake()
    }
    signal?.addEventListener('abort', abort)
    if (timeoutMs !== undefined) timer = setTimer(timeoutMs, expire)
    awaited.waiters.add(waiter)
    wake()
  })
}

/** Passes what a look has found to the calls that wait. */
export function tell(job: AwaitedJob, end: JobEnd): void {
  job.seen = end
  const outcome = toOutcome(end)
  for (const waiter of [...job.waiters]) {
    if (outcome.isOver && 'error' in outcome) waiter.reject(outcome.error)
    else if (outcome.isOver) waiter.resolve(outcome.value)
    else if (waiter.isLate) waiter.reject(tooLate(job, waiter))
  }
}

/** Sets the time of the next look. The pauses between looks grow. */
export function postpone(job: AwaitedJob, nowMs: number, end: JobEnd): void {
  job.since ??= end.asOf
  // A notification that came during the look demands another look.
  job.lookAtMs = Math.min(job.lookAtMs, nowMs + job.pauseMs)
  job.pauseMs = Math.min(job.pauseMs * 3, resultTimings.pauses.mostMs)
}

function tooLate({ id, seen }: AwaitedJob, { timeoutMs }: Waiter): Error {
  const state = seen ? describeState(seen) : 'its state is unknown, because the database has not answered'
  return new BackgroundError(
    'TIMEOUT',
    `Cannot wait any longer for the result of job ${id}: after ${timeoutMs} ms ${state}`
  )
}
