/** What {@linkcode createBatchSizer} takes. */
export interface BatchSizerOptions {
  /** How many jobs can run at the same time. */
  readonly concurrency: number
  /** How many to fetch at once to begin with, and no fewer unless some had to go back. */
  readonly least: number
  readonly most: number
}

/** Decides how many jobs are fetched at once. */
export interface BatchSizer {
  /** How many the next fetch asks for. */
  readonly size: number
  /** A fetch begins. */
  fetching(): void
  /** It has brought these jobs. */
  fetched(jobs: readonly { job_queue_id: number | null }[]): void
  /** Some of them waited in vain, and went back for others to take. */
  returned(): void
}

/**
 * Fetches more at once while a fetch takes longer than running what the one before brought: with trivial jobs, and
 * where each fetch has to pass over the backlog of a locked queue. With jobs that take their time it stays small, so
 * that a worker does not sit on what others could run; and once jobs had to go back, it takes no more than it can run,
 * or it would have them again before another hears of them.
 */
export function createBatchSizer({ concurrency, least, most }: BatchSizerOptions): BatchSizer {
  let size = least
  let beganMs = performance.now()
  let endedMs = beganMs

  return {
    get size() {
      return size
    },
    fetching() {
      beganMs = performance.now()
    },
    fetched(jobs) {
      const count = jobs.length
      const drainMs = beganMs - endedMs
      endedMs = performance.now()
      const fetchMs = endedMs - beganMs
      const isWorthMore = count >= size && (fetchMs > drainMs || (size < least && drainMs < SHORT_MS))
      // Of a queue's jobs the engine keeps one and drops the others, so then a small number says nothing.
      const isShort = count < size / 2 && jobs.every(job => job.job_queue_id === null)
      const isWorthLess = isShort || drainMs > fetchMs * 8
      const fewest = Math.min(least, size)
      if (isWorthMore) size = Math.min(most, size * 2)
      else if (isWorthLess) size = Math.max(fewest, Math.ceil(size / 2))
    },
    returned() {
      size = Math.min(size, concurrency)
    }
  }
}

/** Jobs of which as many as can run at the same time are done in this time are worth fetching ahead. */
const SHORT_MS = 250
