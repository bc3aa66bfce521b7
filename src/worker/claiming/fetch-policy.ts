import type { Logger } from '../../logger.ts'
import type { ClaimedJob } from '../../sql/worker/claim.ts'
import type { Engine } from '../engine/engine.ts'
import type { ResolvedOptions } from '../options.ts'
import { createBatchSizer } from './batch-size.ts'
import { createLookout } from './due.ts'
import { createPacer } from './pace.ts'

/** What {@linkcode createFetchPolicy} takes. */
export interface FetchPolicyOptions {
  readonly options: Pick<ResolvedOptions, 'concurrency' | 'localQueueSize' | 'maxLocalQueueSize' | 'pollIntervalMs'>
  readonly engine: Pick<Engine, 'isHungry' | 'wake'>
  /** Wakes every worker's fetch, by the engine's own notification. */
  wakeOthers(count: number): void
  /** In how many milliseconds jobs come due within a time, the next first. */
  look(withinMs: number): Promise<readonly number[]>
  readonly logger: Logger
}

/**
 * What the worker does about new jobs:
 *
 * - `resting`: a fetch waits for its turn, because it would hardly bring anything yet
 * - `fetching`: it asks the database
 * - `fed`: it has jobs at hand that have not begun
 * - `hungry`: it could run more, and sleeps until something wakes it
 */
export type FetchState = 'resting' | 'fetching' | 'fed' | 'hungry'

/** Decides when the worker fetches, and how many jobs at once. */
export interface FetchPolicy {
  readonly state: FetchState
  /** Awaited before each fetch; resolves with how many jobs to ask for. */
  begin(): Promise<number>
  /** A fetch has brought these jobs, and the engine is about to decide whether it fetches once more. */
  fetched(jobs: readonly ClaimedJob[]): void
  /** A fetch has failed. */
  failed(): void
  /** What became of jobs is written. */
  settled(change: Settled): void
  /** So many jobs have waited here in vain, and went back for others to take. */
  returned(count: number, releasesQueues: boolean): void
  /** A notification of new jobs has come. Any login can send one. */
  scheduled(): void
  /** No more fetch is wanted: one that waits goes on at once. */
  drain(): void
  stop(): void
}

/** What was written. */
export interface Settled {
  /** Whether named queues are free now. */
  readonly releasesQueues: boolean
  /** Whether some of the jobs run again. */
  readonly hasRetries: boolean
}

/**
 * The engine sleeps for its poll interval when a fetch brings less than it asked for. With named queues that says
 * nothing about what waits: a fetch brings one job of each queue, and a queue stays locked until its job's end has been
 * written. So this worker fetches once more after a fetch from queues, and again after it has released one. Other workers
 * are not woken: a notification for each job would set all of them upon the database.
 */
export function createFetchPolicy(given: FetchPolicyOptions): FetchPolicy {
  const { options, engine, wakeOthers, look, logger } = given
  const pacer = createPacer(options.pollIntervalMs)
  const sizer = createBatchSizer({
    concurrency: options.concurrency,
    least: options.localQueueSize,
    most: options.maxLocalQueueSize
  })
  const lookout = createLookout({
    look,
    wake() {
      pacer.hurry()
      engine.wake()
    },
    isHungry: () => engine.isHungry,
    intervalMs: options.pollIntervalMs,
    logger
  })
  let fetching: 'resting' | 'fetching' | undefined
  let asked = 0
  let lastForwardMs = Number.NEGATIVE_INFINITY

  return {
    get state() {
      return fetching ?? (engine.isHungry ? 'hungry' : 'fed')
    },
    async begin() {
      fetching = 'resting'
      await pacer.turn()
      fetching = 'fetching'
      sizer.fetching()
      asked = sizer.size
      return asked
    },
    fetched(jobs) {
      fetching = undefined
      pacer.fetched(jobs)
      sizer.fetched(jobs)
      const isFromQueues = jobs.some(job => job.job_queue_id !== null)
      const isCut = jobs[0]?.is_cut ?? false
      const isFull = isCut || jobs.length >= asked
      // What the engine asks for is not what it gets, so it takes any number for a sign that there are no more.
      if (isFromQueues || isFull) engine.wake()
      if (jobs.length === 0) lookout.refresh()
      else if (!isFull) lookout.catchUp()
    },
    failed() {
      fetching = undefined
    },
    settled({ releasesQueues, hasRetries }) {
      if (hasRetries) lookout.refresh()
      if (!releasesQueues || pacer.hurry()) return
      if (engine.isHungry) return engine.wake()
      // Too busy for the queue's next job, so another may have it.
      const nowMs = performance.now()
      if (nowMs - lastForwardMs < FORWARD_INTERVAL_MS) return
      lastForwardMs = nowMs
      wakeOthers(1)
    },
    returned(count, releasesQueues) {
      sizer.returned()
      if (releasesQueues) pacer.hurry()
      // They are for a worker that idles, which finds them only when told.
      wakeOthers(count)
    },
    scheduled() {
      pacer.scheduled()
      lookout.refresh()
    },
    drain: () => void pacer.hurry(),
    stop: () => lookout.stop()
  }
}

const FORWARD_INTERVAL_MS = 100
