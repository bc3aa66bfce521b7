import type { Logger } from '../../logger.ts'

/** What {@linkcode createLookout} takes. */
export interface LookoutOptions {
  /** In how many milliseconds jobs come due within a time, the next first. */
  look(withinMs: number): Promise<readonly number[]>
  /** Makes the worker fetch, if it is short of jobs. */
  wake(): void
  /** Whether it is. */
  isHungry(): boolean
  /** How far to look ahead, and how often, in milliseconds. */
  readonly intervalMs: number
  readonly logger: Logger
}

/** Wakes the worker when jobs come due. The engine by itself would find them at its next poll. */
export interface Lookout {
  /** Something may have been scheduled: looks soon, or once the worker has use for it. */
  refresh(): void
  /** The worker got fewer jobs than it asked for, and is about to have use for more. */
  catchUp(): void
  stop(): void
}

/**
 * Looks ahead now and then, and whenever told to, and sets an alarm for what it has seen. While the worker has jobs at
 * hand an alarm would be in vain, so what is scheduled then is looked for when a fetch leaves it short of jobs: it does
 * not come to rest without one.
 */
export function createLookout({ look, wake, isHungry, intervalMs, logger }: LookoutOptions): Lookout {
  let alarm: NodeJS.Timeout | undefined
  let pause: NodeJS.Timeout | undefined
  let isLooking = false
  let isStale = false
  let isStopped = false
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
    look(intervalMs + MARGIN_MS)
      .then(
        times => {
          if (isStopped) return
          clearTimeout(alarm)
          // Counted from the answer: a little late is late by a fraction of a round trip, a little early is a fetch in vain.
          const nowMs = performance.now()
          setAlarm(times.map(ms => ms + nowMs))
        },
        error => logger.debug(`Cannot look ahead for jobs that come due: ${error}`, { error })
      )
      .finally(() => {
        isLooking = false
        if (isStopped) return
        // Within the margin, and later than the look that follows the engine's own poll if that finds nothing.
        clearTimeout(round)
        round = setTimeout(lookAhead, intervalMs + MARGIN_MS / 2)
        // A flood of notifications is answered by a look now and then.
        pause = setTimeout(() => {
          pause = undefined
          if (isStale) refresh()
        }, PAUSE_MS)
      })
  }

  function setAlarm([next, ...others]: readonly number[]): void {
    if (next === undefined) return
    alarm = setTimeout(
      () => {
        wake()
        const nowMs = performance.now()
        setAlarm(others.filter(ms => ms > nowMs))
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
      clearTimeout(alarm)
      clearTimeout(pause)
    }
  }
}

/** So that a job due right after the next look is not missed by both. */
const MARGIN_MS = 500

const PAUSE_MS = 20
