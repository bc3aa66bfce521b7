import type { Settled } from './settled.ts'

/** What {@linkcode createQueueWaker} takes. */
export interface QueueWakerOptions {
  /** Whether the worker would fetch if it were woken: it is short of jobs. */
  isHungry(): boolean
  /** Begins a fetch that waits for its turn, since it will hardly be in vain. Returns whether one was waiting. */
  hurry(): boolean
  /** Wakes this worker's fetch. */
  wake(): void
  /** Wakes every worker's fetch, by the engine's own notification. */
  wakeOthers(count: number): void
}

/** Sees to it that named queues run at full speed and hold up nobody. */
export interface QueueWaker {
  /** A fetch has brought these jobs, and the engine is about to decide whether it fetches once more. */
  fetched(jobs: readonly { job_queue_id: number | null }[]): void
  /** The database has carried out a statement. */
  settled(statement: Settled): void
}

/**
 * The engine sleeps for its poll interval when a fetch brings less than it asked for. With named queues that says
 * nothing about what waits: a fetch brings one job of each queue, and a queue stays locked until its job's end has been
 * written. So this worker fetches once more after a fetch from queues, and again after it has released one. Other workers
 * are not woken: a notification for each job would set all of them upon the database.
 */
export function createQueueWaker({ isHungry, hurry, wake, wakeOthers }: QueueWakerOptions): QueueWaker {
  let lastForwardMs = Number.NEGATIVE_INFINITY
  return {
    fetched(jobs) {
      if (jobs.some(job => job.job_queue_id !== null)) wake()
    },
    settled({ kind, releasesQueues, values }) {
      const isAnswered = releasesQueues && hurry()
      // Jobs that go back after waiting in vain are for a worker that idles, and it finds them only when told.
      if (kind === 'return') return wakeOthers((values[1] as unknown[]).length)
      if (!releasesQueues || isAnswered) return
      if (isHungry()) return wake()
      // Too busy for the queue's next job, so another may have it.
      const nowMs = performance.now()
      if (nowMs - lastForwardMs < FORWARD_INTERVAL_MS) return
      lastForwardMs = nowMs
      wakeOthers(1)
    }
  }
}

const FORWARD_INTERVAL_MS = 100
