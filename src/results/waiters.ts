import { setTimer, type Timer } from '../async/timer.ts'
import { type Names, refuseUnknown } from '../check/options.ts'
import { toTimeLimit } from '../duration.ts'
import { BackgroundError } from '../errors.ts'
import type { ResultOptions } from '../job.ts'
import type { JobEnd } from '../sql/ledger/waiters.ts'
import { describeState, settle } from './outcome.ts'

/** A job for whose end somebody waits, and who. */
export interface Awaited {
  readonly id: string
  readonly waiters: Set<Waiter>
  /** It has not ended before this time, in ISO 8601, if that is known. */
  since: string | null
  /** Whether the database knows that somebody waits, as far as the connection at hand goes. */
  isRegistered: boolean
  /** When to look what has become of it, by this process's `performance.now()`. */
  lookAtMs: number
  /** How long to wait after that until the next look. */
  pauseMs: number
  /** What it was at when somebody looked last. */
  seen: JobEnd | undefined
}

/** What {@linkcode ResultOptions} may hold. */
export const RESULT_OPTIONS: Names<ResultOptions> = { timeout: true, signal: true }

/** One call that waits. */
export interface Waiter {
  /** Whether its time is up: it waits but for a last look. */
  isLate: boolean
  readonly timeoutMs: number | undefined
  resolve(value: unknown): void
  reject(reason: unknown): void
}

/** The jobs for whose end this process waits. */
export type AwaitedJobs = Map<string, Awaited>

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
    job = { id, waiters: new Set(), since, isRegistered: false, lookAtMs: 0, pauseMs: FIRST_PAUSE_MS, seen: undefined }
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
      timer = setTimer(LAST_LOOK_MS, giveUp)
      wake()
    }
    signal?.addEventListener('abort', abort)
    if (timeoutMs !== undefined) timer = setTimer(timeoutMs, expire)
    awaited.waiters.add(waiter)
    wake()
  })
}

/** Tells those who wait for a job what has become of it. */
export function tell(job: Awaited, end: JobEnd): void {
  job.seen = end
  const settlement = settle(end)
  for (const waiter of [...job.waiters]) {
    if (settlement.isOver && 'error' in settlement) waiter.reject(settlement.error)
    else if (settlement.isOver) waiter.resolve(settlement.value)
    else if (waiter.isLate) waiter.reject(tooLate(job, waiter))
  }
}

/** After this, the next look is due after a longer pause. */
export function postpone(job: Awaited, nowMs: number, end: JobEnd): void {
  job.since ??= end.asOf
  // A notification that came during the look asks for another one.
  job.lookAtMs = Math.min(job.lookAtMs, nowMs + job.pauseMs)
  job.pauseMs = Math.min(job.pauseMs * 3, MAX_PAUSE_MS)
}

function tooLate({ id, seen }: Awaited, { timeoutMs }: Waiter): Error {
  const state = seen ? describeState(seen) : 'nobody knows what it is at, since the database has not answered'
  return new BackgroundError(
    'TIMEOUT',
    `Cannot wait any longer for the result of job ${id}: after ${timeoutMs} ms ${state}`
  )
}

/** Long enough for whatever was under way when the database learned that somebody waits. */
const FIRST_PAUSE_MS = 50
const MAX_PAUSE_MS = 5_000

/** How long the database gets to say what a job is at for which nobody waits any longer. */
const LAST_LOOK_MS = 1_000
