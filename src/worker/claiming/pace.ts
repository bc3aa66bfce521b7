import { claimingTimings } from '../../rules/timings.ts'

/** Limits how often a worker makes fetches that return no jobs. */
export interface Pacer {
  /** Awaited before each fetch. */
  turn(): Promise<void>
  /** Call with the jobs that a fetch has returned. */
  fetched(jobs: readonly { job_queue_id: number | null }[]): void
  /** Call when a notification of new jobs arrives. Any login can send one. */
  scheduled(): void
  /**
   * Call when the next fetch will probably return jobs: this worker has released a named queue, or a job comes due.
   * Returns true if a fetch was delayed; the fetch then starts now.
   */
  hurry(): boolean
}

/**
 * Some empty fetches are expensive: they pass over the backlog of a queue that another worker has locked. Each job that
 * is added to this queue makes every worker fetch. So after an expensive empty fetch the next one is delayed: longer
 * after a slower fetch, and longer after several of them, unless the next fetch will probably return jobs. Any login
 * can trigger fetches, so cheap fetches are delayed, too, after many empty ones in a row.
 *
 * When a fetch has returned jobs of named queues, these queues are locked. The next fetch reads past their backlogs to
 * find other jobs. Here such a fetch is called a scan. After an empty scan, the next scan is delayed until this worker
 * releases a queue or a notification of new jobs arrives. The delay is limited, because other workers release their
 * queues without notice.
 *
 * @param pollIntervalMs the longest delay of a scan, in milliseconds
 * @param scanIntervalMs the shortest delay of a scan after an empty one, in milliseconds
 */
export function createPacer(pollIntervalMs: number, scanIntervalMs = claimingTimings.scanEveryMs): Pacer {
  let beganMs = 0
  let waitUntilMs = 0
  let expensiveInRow = 0
  let emptyInRow = 0
  let isHopeful = false
  let isScan = false
  let scanAgainMs = 0
  let proceed: (() => void) | undefined

  function waitMs(): number {
    if (isHopeful) return 0
    return Math.max(waitUntilMs, isScan ? scanAgainMs : 0) - performance.now()
  }

  /** Ends the delay of a fetch. Returns whether one was delayed. */
  function endDelay(): boolean {
    const wasWaiting = proceed !== undefined
    proceed?.()
    proceed = undefined
    return wasWaiting
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
      beganMs = performance.now()
      isScan &&= !isHopeful
      isHopeful = false
    },
    fetched(jobs) {
      const count = jobs.length
      const nowMs = performance.now()
      const tookMs = nowMs - beganMs
      if (isScan) {
        const pauseMs = Math.min(pollIntervalMs, Math.max(scanIntervalMs, tookMs * SCAN_FACTOR))
        scanAgainMs = count > 0 ? 0 : nowMs + pauseMs
      }
      isScan = jobs.some(job => job.job_queue_id !== null)
      expensiveInRow = count === 0 && tookMs > EXPENSIVE_MS ? expensiveInRow + 1 : 0
      emptyInRow = count === 0 ? emptyInRow + 1 : 0
      const restMs = emptyInRow > MANY ? claimingTimings.delayMs : 0
      waitUntilMs =
        nowMs + Math.min(claimingTimings.longestDelayMs, Math.max(restMs, tookMs * WAIT_FACTOR * expensiveInRow))
    },
    scheduled() {
      isScan = false
      endDelay()
    },
    hurry() {
      isHopeful = true
      return endDelay()
    }
  }
}

/** An empty fetch that takes longer is expensive. On an idle database it takes less. */
const EXPENSIVE_MS = 4

/** Expensive empty fetches take at most about a twentieth of a worker's time. */
const WAIT_FACTOR = 20

/** After more empty fetches in a row than this, cheap fetches are delayed, too. */
const MANY = 20

/** A scan delays the next job of the queues that it passes over, so scans take at most about 2 % of the time. */
const SCAN_FACTOR = 50
