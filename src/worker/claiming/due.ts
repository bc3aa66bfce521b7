import type { Logger } from '../../logger.ts'
import { claimingTimings } from '../../rules/timings.ts'
import { pauseAfterMany } from './pace.ts'

/** The options of {@linkcode createLookout}. */
export interface LookoutOptions {
  /** Returns after how many milliseconds jobs come due within the given time, the earliest first. */
  look(withinMs: number): Promise<readonly number[]>
  /** When the last fetch began, by `performance.now()`. It has seen the jobs that were due by then. */
  lastFetchMs(): number
  /** Makes the worker fetch if it can run more jobs, without a delay if a job has just come due. */
  wake(isDueNow: boolean): void
  /** Whether the worker can run more jobs than it holds. */
  isHungry(): boolean
  /** How far to look ahead, and how often, in milliseconds. */
  readonly intervalMs: number
  readonly logger: Logger
}

/** Wakes the worker when jobs come due. Otherwise the engine would find them only at its next poll. */
export interface Lookout {
  /** Call when jobs may have been scheduled. Looks soon, or once the worker can run more jobs. */
  refresh(): void
  /** Call when a fetch has returned fewer jobs than it asked for: soon the worker can run more jobs. */
  catchUp(): void
  stop(): void
}

/**
 * Looks ahead at regular intervals and on demand, and sets a timer for the jobs it finds. While the worker has jobs
 * that have not started, a timer is of no use. Jobs that are scheduled meanwhile are looked for after the next fetch
 * that returns fewer jobs than it asked for; the engine always makes this fetch before it goes idle.
 */
export function createLookout({ look, lastFetchMs, wake, isHungry, intervalMs, logger }: LookoutOptions): Lookout {
  let dueTimer: NodeJS.Timeout | undefined
  let pause: NodeJS.Timeout | undefined
  let isLooking = false
  let isStale = false
  let isStopped = false
  let vainInRow = 0
  let round: NodeJS.Timeout | undefined

  function refresh(): void {
    isStale = true
    if (isHungry()) lookAhead()
  }

  function catchUp(): void {
    if (isStale) lookAhead()
  }

  function lookAhead(): void {
    if (isLooking || pause || isStopped) return
    isLooking = true
    isStale = false
    look(intervalMs + claimingTimings.dueMarginMs)
      .then(
        times => {
          if (isStopped) return
          clearTimeout(dueTimer)
          // Counted from the answer. This is late by a part of a round trip; a timer that is too early fetches nothing.
          const nowMs = performance.now()
          const dueMs = times.map(ms => ms + nowMs).filter(ms => ms > lastFetchMs())
          const future = dueMs.filter(ms => ms > nowMs)
          vainInRow = future.length === 0 ? vainInRow + 1 : 0
          // A notification has told of these jobs, or will.
          if (future.length < dueMs.length) wake(false)
          setDueTimer(future)
        },
        error => logger.debug(`Cannot look ahead for jobs that come due: ${error}`, { error })
      )
      .finally(() => {
        isLooking = false
        if (isStopped) return
        // Within the margin, and after the look that follows an empty poll of the engine.
        clearTimeout(round)
        round = setTimeout(lookAhead, intervalMs + claimingTimings.dueMarginMs / 2)
        // Many notifications in a short time cause only one look per pause, which is longer after many looks in vain.
        pause = setTimeout(
          () => {
            pause = undefined
            if (isStale) refresh()
          },
          pauseAfterMany(claimingTimings.duePauseMs, vainInRow)
        )
      })
  }

  function setDueTimer([next, ...others]: readonly number[]): void {
    if (next === undefined) return
    dueTimer = setTimeout(
      () => {
        wake(true)
        const nowMs = performance.now()
        setDueTimer(others.filter(ms => ms > nowMs))
      },
      Math.max(0, next - performance.now()) + 1
    )
  }

  lookAhead()
  return {
    refresh,
    catchUp,
    stop() {
      isStopped = true
      clearTimeout(round)
      clearTimeout(dueTimer)
      clearTimeout(pause)
    }
  }
}
