import { claimingTimings } from '../../rules/timings.ts'
import type { Scan } from '../../sql/worker/claim/queues.ts'

/** A fetch that is about to begin. */
export interface Turn {
  /** Where the fetch looks for queues with jobs. With `none`, it takes jobs only from queues that it is given. */
  readonly scans: Scan
}

/** Limits how often a worker makes fetches that return no jobs, and how often it looks for queues in vain. */
export interface Pacer {
  /** Awaited before each fetch. */
  turn(): Promise<Turn>
  /** Call with the jobs that a fetch has returned. Returns whether the next fetch should start now. */
  fetched(jobs: readonly { job_queue_id: number | null }[], isCovered?: boolean): boolean
  /** Call when a notification of new jobs arrives. Any login can send one. */
  scheduled(): void
  /**
   * Call when the next fetch will probably return jobs: this worker has released a named queue, or a job comes due.
   * Returns true if a fetch was delayed; the fetch then starts now.
   */
  hurry(): boolean
  stop(): void
}

/**
 * To find queues, a fetch looks at the first jobs of all queues. If these are all of queues that are paused or that
 * workers hold, the next fetch looks at each queue. After such a scan in vain, or an expensive one, further fetches do not
 * scan for a while: longer after a slower scan, and much longer after some of them in a row. The first ones may be slow only
 * because the server has to plan the fetch on a new connection. Fetches still take jobs without a queue, and jobs of the
 * queues that this worker has released. If there were such fetches, `wake` then makes the worker scan again.
 *
 * Other empty fetches may be expensive, too: they pass over jobs that this worker does not run. After such a fetch the
 * next one is delayed: longer after a slower fetch, and longer after several of them, unless the next fetch will probably
 * return jobs. Any login can trigger fetches, so cheap fetches are delayed, too, after many empty ones in a row.
 *
 * @param pollIntervalMs the longest time without a scan, in milliseconds
 * @param wake makes the worker fetch
 */
export function createPacer(pollIntervalMs: number, wake: () => void): Pacer {
  let beganMs = 0
  let leastMs = Number.POSITIVE_INFINITY
  let waitUntilMs = 0
  let expensiveInRow = 0
  let slowScansInRow = 0
  let emptyInRow = 0
  let isHopeful = false
  let scans: Scan = 'first'
  let wasCovered = false
  let scanAgainMs = 0
  let scanTimer: NodeJS.Timeout | undefined
  let proceed: (() => void) | undefined

  function waitMs(): number {
    return isHopeful ? 0 : waitUntilMs - performance.now()
  }

  /** Ends the delay of a fetch. Returns whether one was delayed. */
  function endDelay(): boolean {
    const wasWaiting = proceed !== undefined
    proceed?.()
    proceed = undefined
    return wasWaiting
  }

  function scanLater(): void {
    scanTimer ??= setTimeout(() => {
      scanTimer = undefined
      // A timer may be a little early.
      scanAgainMs = 0
      wake()
    }, scanAgainMs - performance.now())
    scanTimer.unref()
  }

  /** Whether a fetch took longer than the way to the server and back, and the usual work for so many jobs. */
  function isExpensive(tookMs: number, count: number): boolean {
    // It rises slowly, because the way may become longer.
    leastMs = Math.min(tookMs, leastMs * 1.01)
    return tookMs - leastMs - count * JOB_MS > EXPENSIVE_MS
  }

  return {
    async turn() {
      for (let ms = waitMs(); ms > 0; ms = waitMs()) {
        await new Promise<void>(resolve => {
          const timer = setTimeout(endDelay, ms)
          proceed = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      isHopeful = false
      beganMs = performance.now()
      scans = beganMs < scanAgainMs ? 'none' : wasCovered ? 'all' : 'first'
      if (scans === 'none') scanLater()
      return { scans }
    },
    fetched(jobs, isCovered = false) {
      const count = jobs.length
      const nowMs = performance.now()
      const tookMs = nowMs - beganMs
      const wasExpensive = isExpensive(tookMs, count)
      wasCovered = isCovered
      if (isCovered) return true
      const isInVain = scans !== 'none' && !jobs.some(job => job.job_queue_id !== null)
      if (isInVain && (wasExpensive || scans === 'all')) {
        slowScansInRow++
        const factor = scans === 'all' || slowScansInRow > FEW ? SCAN_FACTOR : FIRST_SCAN_FACTOR
        scanAgainMs = nowMs + Math.min(pollIntervalMs, Math.max(tookMs, scans === 'all' ? LEAST_SCAN_MS : 0) * factor)
        return false
      }
      if (scans !== 'none') slowScansInRow = 0
      expensiveInRow = count === 0 && wasExpensive ? expensiveInRow + 1 : 0
      emptyInRow = count === 0 ? emptyInRow + 1 : 0
      const restMs = emptyInRow > MANY ? pauseAfterMany(claimingTimings.delayMs, emptyInRow - MANY) : 0
      waitUntilMs =
        nowMs + Math.min(claimingTimings.longestDelayMs, Math.max(restMs, tookMs * WAIT_FACTOR * expensiveInRow))
      return false
    },
    scheduled: () => void endDelay(),
    hurry() {
      isHopeful = true
      return endDelay()
    },
    stop: () => clearTimeout(scanTimer)
  }
}

/** A pause that doubles whenever work was in vain a few more times in a row. */
export function pauseAfterMany(leastMs: number, vainInRow: number): number {
  return Math.min(claimingTimings.longestRestMs, leastMs * 2 ** Math.floor(vainInRow / FEW))
}

/** A fetch that takes so much longer than the fastest is expensive. */
const EXPENSIVE_MS = 4

/** A scan of all queues in vain counts as no shorter than this, so that a long backlog that one worker runs costs others little. */
const LEAST_SCAN_MS = 10

/** The usual time for each job that a fetch returns. */
const JOB_MS = 0.03

/** Expensive empty fetches take at most about a twentieth of a worker's time. */
const WAIT_FACTOR = 20

/** Scans in vain take at most about a fiftieth of a worker's time, and the first few in a row a fifth. */
const SCAN_FACTOR = 50
const FIRST_SCAN_FACTOR = 5

/** After more empty fetches in a row than this, cheap fetches are delayed, too. */
const MANY = 20

/** After so many more fetches or looks in vain, the pause doubles, and after so many slow scans it is long. */
const FEW = 5
