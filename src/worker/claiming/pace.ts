/** Keeps a worker from asking in vain too often. */
export interface Pacer {
  /** Awaited before each fetch. */
  turn(): Promise<void>
  /** A fetch has brought these jobs. */
  fetched(jobs: readonly { job_queue_id: number | null }[]): void
  /** A notification of new jobs has come. Any login can send one. */
  scheduled(): void
  /**
   * The next fetch will hardly be in vain: this worker has released a named queue, or a job comes due. Returns whether a
   * fetch was waiting, and begins now.
   */
  hurry(): boolean
}

/**
 * A fetch that finds nothing but passes over the backlog of a queue that another worker has locked is dear, and each job
 * that is added to that queue asks for one from every worker. So the next fetch after a dear one in vain waits, longer
 * the dearer it was and the more there were, unless it is known by then that it will not be in vain. Anybody can ask for
 * fetches, so cheap ones in vain rest, too, once there were many in a row.
 *
 * A fetch that follows one with jobs of named queues is a look: it passes over the backlogs of these queues, which are
 * locked now, to find other jobs. After a look in vain, the next look waits until this worker releases a queue or new jobs
 * are announced. It does not wait for long, because other workers release their queues unannounced.
 *
 * @param pollIntervalMs how long a look waits at most
 */
export function createPacer(pollIntervalMs: number, lookIntervalMs = LOOK_INTERVAL_MS): Pacer {
  let beganMs = 0
  let waitUntilMs = 0
  let inVain = 0
  let inRow = 0
  let isHopeful = false
  let isLook = false
  let lookAgainMs = 0
  let proceed: (() => void) | undefined

  function waitMs(): number {
    if (isHopeful) return 0
    return Math.max(waitUntilMs, isLook ? lookAgainMs : 0) - performance.now()
  }

  /** Whether it was waiting. */
  function end(): boolean {
    const wasWaiting = proceed !== undefined
    proceed?.()
    proceed = undefined
    return wasWaiting
  }

  return {
    async turn() {
      for (let ms = waitMs(); ms > 0; ms = waitMs()) {
        await new Promise<void>(resolve => {
          const timer = setTimeout(end, ms)
          proceed = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      beganMs = performance.now()
      isLook &&= !isHopeful
      isHopeful = false
    },
    fetched(jobs) {
      const count = jobs.length
      const nowMs = performance.now()
      const tookMs = nowMs - beganMs
      if (isLook) {
        const pauseMs = Math.min(pollIntervalMs, Math.max(lookIntervalMs, tookMs * LOOK_FACTOR))
        lookAgainMs = count > 0 ? 0 : nowMs + pauseMs
      }
      isLook = jobs.some(job => job.job_queue_id !== null)
      inVain = count === 0 && tookMs > DEAR_MS ? inVain + 1 : 0
      inRow = count === 0 ? inRow + 1 : 0
      const restMs = inRow > MANY ? REST_MS : 0
      waitUntilMs = nowMs + Math.min(MAX_WAIT_MS, Math.max(restMs, tookMs * WAIT_FACTOR * inVain))
    },
    scheduled() {
      isLook = false
      end()
    },
    hurry() {
      isHopeful = true
      return end()
    }
  }
}

/** An empty fetch on an idle database takes less. */
const DEAR_MS = 4

/** No more than a twentieth of a worker's time goes into asking in vain. */
const WAIT_FACTOR = 20

const MAX_WAIT_MS = 500

const MANY = 20
const REST_MS = 10

const LOOK_INTERVAL_MS = 100

/** A look holds up the next job of the queues that it passes over. */
const LOOK_FACTOR = 50
