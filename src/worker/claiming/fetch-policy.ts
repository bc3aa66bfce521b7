import type { Logger } from '../../logger.ts'
import { claimingTimings } from '../../rules/timings.ts'
import type { Scan } from '../../sql/worker/claim/queues.ts'
import type { ClaimRest } from '../../sql/worker/claim.ts'
import type { Engine } from '../engine/engine.ts'
import type { ResolvedOptions } from '../options.ts'
import { createBatchSizer } from './batch-size.ts'
import { createLookout } from './due.ts'
import { createPacer } from './pace.ts'

/** The options of {@linkcode createFetchPolicy}. */
export interface FetchPolicyOptions {
  readonly options: Pick<ResolvedOptions, 'concurrency' | 'localQueueSize' | 'maxLocalQueueSize' | 'pollIntervalMs'>
  readonly engine: Pick<Engine, 'isHungry' | 'wake'>
  /** Makes all workers fetch, with the engine's own notification. */
  wakeOthers(count: number): void
  /** Returns after how many milliseconds jobs come due within the given time, the earliest first. */
  look(withinMs: number): Promise<readonly number[]>
  /** Called when a job comes due. */
  onDue(): void
  readonly logger: Logger
}

/**
 * The state of a worker's fetches:
 *
 * - `resting`: a fetch is delayed, because it would probably return no jobs yet
 * - `fetching`: a fetch is under way
 * - `fed`: the worker has fetched jobs that have not started
 * - `hungry`: the worker could run more jobs, and waits until something wakes it
 */
export type FetchState = 'resting' | 'fetching' | 'fed' | 'hungry'

/** What a fetch asks for. */
export interface Fetch {
  /** How many jobs without a queue, and how many queues. */
  readonly size: number
  /** How many jobs of queues. Only one worker at a time runs the jobs of a queue, so they cannot be too many for it. */
  readonly queued: number
  /** Where to look for queues with jobs. With `none`, the fetch takes jobs only from the queues `also`. */
  readonly scans: Scan
  /** The ids of queues that this worker has released. */
  readonly also: readonly number[]
}

/** Decides when the worker fetches, and how many jobs at once. */
export interface FetchPolicy {
  readonly state: FetchState
  /** Awaited before each fetch. */
  begin(most?: number): Promise<Fetch>
  /**
   * Call with the jobs that a fetch has returned, before the engine decides whether to fetch again.
   *
   * @param hasMore whether another fetch would find jobs of lanes
   */
  fetched(jobs: readonly { job_queue_id: number | null }[], rest?: Partial<ClaimRest>, hasMore?: boolean): void
  /** Call when a fetch has failed. */
  failed(): void
  /** Call when the database has confirmed how jobs ended. */
  settled(change: Settled): void
  /** Call when jobs may begin for which a limit left no room before. */
  ready(): void
  /** Call when other workers may have slots of limits that this worker has held. */
  freed(): void
  /**
   * Call when the worker has given back so many fetched jobs that had not started. Either they have waited too long, or
   * the worker stops.
   */
  givenBack(count: number, releasesQueues: boolean): void
  /** Call when a notification of new jobs arrives. Any login can send one. */
  scheduled(): void
  /** Call when the worker needs no more jobs. A fetch that is delayed continues now. */
  drain(): void
  stop(): void
}

/** The effects of writing how jobs ended. */
export interface Settled {
  /** The ids of the named queues that are free now. */
  readonly released: readonly number[]
  /** Whether some of the jobs stay in the table, to run again or as failed for good. */
  readonly keepsJobs: boolean
}

/**
 * The engine sleeps for its poll interval when a fetch returns fewer jobs than it asked for. With named queues, other
 * jobs may still wait: a fetch returns some jobs of each queue, and a queue stays locked until the end of these jobs is
 * written. So this worker fetches again after a fetch from queues, and after it has released a queue. It wakes other
 * workers only if it is too busy: a notification for each job would make all workers query the database.
 */
export function createFetchPolicy(given: FetchPolicyOptions): FetchPolicy {
  const { options, engine, wakeOthers, look, onDue, logger } = given
  const pacer = createPacer(options.pollIntervalMs, engine.wake)
  const sizer = createBatchSizer({
    concurrency: options.concurrency,
    least: options.localQueueSize,
    most: options.maxLocalQueueSize
  })
  const lookout = createLookout({
    look,
    lastFetchMs: () => lastFetchMs,
    wake(isDueNow) {
      onDue()
      if (isDueNow) pacer.hurry()
      engine.wake()
    },
    isHungry: () => engine.isHungry,
    intervalMs: options.pollIntervalMs,
    logger
  })
  let fetching: 'resting' | 'fetching' | undefined
  let asked = 0
  let beganMs = Number.NEGATIVE_INFINITY
  let lastFetchMs = Number.NEGATIVE_INFINITY
  let lastForwardMs = Number.NEGATIVE_INFINITY
  let forwarding: NodeJS.Timeout | undefined
  const released = new Set<number>()

  /** Tells the other workers of jobs, now or soon. */
  function forward(): void {
    if (forwarding) return
    const waitMs = lastForwardMs + claimingTimings.forwardEveryMs - performance.now()
    if (waitMs <= 0) {
      lastForwardMs = performance.now()
      wakeOthers(1)
      return
    }
    forwarding = setTimeout(() => {
      forwarding = undefined
      forward()
    }, waitMs)
  }

  return {
    get state() {
      return fetching ?? (engine.isHungry ? 'hungry' : 'fed')
    },
    async begin(most = Number.POSITIVE_INFINITY) {
      fetching = 'resting'
      const { scans } = await pacer.turn()
      fetching = 'fetching'
      beganMs = performance.now()
      sizer.fetching()
      asked = Math.min(sizer.size, most)
      const also = [...released]
      released.clear()
      return { size: asked, queued: Math.min(options.maxLocalQueueSize, most), scans, also }
    },
    fetched(jobs, { isCut = false, isCovered = false, leavesJobs = false } = {}, hasMore = false) {
      fetching = undefined
      lastFetchMs = beganMs
      const isHopeful = pacer.fetched(jobs, isCovered)
      sizer.fetched(jobs)
      const isFromQueues = jobs.some(job => job.job_queue_id !== null)
      const isFull = isCut || jobs.length >= asked
      // The fetch may ask for more or fewer jobs than the engine did, so the engine may believe that no more jobs wait.
      if (isFromQueues || isFull || isHopeful || hasMore) engine.wake()
      if (leavesJobs) forward()
      if (jobs.length === 0) lookout.refresh()
      else if (!isFull) lookout.catchUp()
    },
    failed() {
      fetching = undefined
    },
    settled({ released: queues, keepsJobs }) {
      if (keepsJobs) lookout.refresh()
      for (const queue of queues) released.add(queue)
      // If this worker is too busy for the queue's next job, another worker may run it.
      if (queues.length > 0) this.freed()
    },
    ready() {
      pacer.hurry()
      engine.wake()
    },
    freed() {
      if (pacer.hurry()) return
      if (engine.isHungry) engine.wake()
      else forward()
    },
    givenBack(count, releasesQueues) {
      sizer.givenBack()
      if (releasesQueues) pacer.hurry()
      // An idle worker finds these jobs only if it is notified.
      wakeOthers(count)
    },
    scheduled() {
      pacer.scheduled()
      lookout.refresh()
    },
    drain: () => void pacer.hurry(),
    stop() {
      clearTimeout(forwarding)
      lookout.stop()
      pacer.stop()
    }
  }
}
