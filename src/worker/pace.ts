/** Keeps a worker from asking in vain too often. */
export interface Pacer {
  /** Awaited before each fetch. */
  turn(): Promise<void>
  /** A fetch has brought that many jobs. */
  fetched(count: number): void
  /** The next fetch will hardly be in vain: this worker has released a named queue, or a job comes due. */
  hurry(): void
}

/**
 * A fetch that finds nothing but passes over the backlog of a queue that another worker has locked is dear, and each job
 * that is added to that queue asks for one from every worker. So the next fetch after a dear one in vain waits, longer
 * the dearer it was and the more there were, unless it is known by then that it will not be in vain. Anybody can ask for
 * fetches, so cheap ones in vain rest, too, once there were many in a row.
 */
export function createPacer(): Pacer {
  let beganMs = 0
  let waitUntilMs = 0
  let inVain = 0
  let inRow = 0
  let isHopeful = false
  let proceed = (): void => {}
  return {
    async turn() {
      const waitMs = isHopeful ? 0 : waitUntilMs - performance.now()
      if (waitMs > 0) {
        await new Promise<void>(resolve => {
          const timer = setTimeout(resolve, waitMs)
          proceed = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      isHopeful = false
      beganMs = performance.now()
    },
    fetched(count) {
      const nowMs = performance.now()
      const tookMs = nowMs - beganMs
      inVain = count === 0 && tookMs > DEAR_MS ? inVain + 1 : 0
      inRow = count === 0 ? inRow + 1 : 0
      const restMs = inRow > MANY ? REST_MS : 0
      waitUntilMs = nowMs + Math.min(MAX_WAIT_MS, Math.max(restMs, tookMs * WAIT_FACTOR * inVain))
    },
    hurry() {
      isHopeful = true
      proceed()
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
