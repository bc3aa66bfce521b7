/** The options of {@linkcode createBatchSizer}. */
export interface BatchSizerOptions {
  /** How many jobs can run at the same time. */
  readonly concurrency: number
  /** The size of the first fetch, and the smallest size until the worker has given back jobs. */
  readonly least: number
  /** The largest size. */
  readonly most: number
}

/** Decides how many jobs are fetched at once. */
export interface BatchSizer {
  /** How many jobs the next fetch asks for. */
  readonly size: number
  /** Call when a fetch begins. */
  fetching(): void
  /** Call with the jobs that a fetch has returned. */
  fetched(jobs: readonly { job_queue_id: number | null }[]): void
  /**
   * Call when the worker has given back fetched jobs that had not started. Either they have waited too long, or the
   * worker stops.
   */
  givenBack(): void
}

/**
 * The size grows while a fetch takes longer than running the jobs of the previous fetch. This is so with very short
 * jobs, and when each fetch has to pass over the backlog of a locked queue. With longer jobs the size stays small, so
 * that a worker does not hold jobs that other workers could run. Once it has given back jobs, the worker fetches no
 * more than it can run; otherwise it would fetch the same jobs again before another worker hears of them.
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
      // A fetch takes no jobs from a locked queue, so a small number of jobs from queues says nothing.
      const isShort = count < size / 2 && jobs.every(job => job.job_queue_id === null)
      const isWorthLess = isShort || drainMs > fetchMs * 8
      const fewest = Math.min(least, size)
      if (isWorthMore) size = Math.min(most, size * 2)
      else if (isWorthLess) size = Math.max(fewest, Math.ceil(size / 2))
    },
    givenBack() {
      size = Math.min(size, concurrency)
    }
  }
}

/** If a worker is done with a fetch in less time than this, fetching more at once pays off. */
const SHORT_MS = 250
