import { repeat } from '../async/repeat.ts'
import { describeFailure, isReadOnly, isTransientFailure } from '../database/failure.ts'
import type { Logger } from '../logger.ts'

/** Knows whether the database is away, and tells the log once when it goes and once when it is back. */
export interface Outage {
  readonly isAway: boolean
  /** Somebody cannot get through, and will try again. */
  failed(who: object, error: unknown): void
  /** The same has got through. */
  recovered(who: object): void
  /** The same has given up. */
  forget(who: object): void
  /** Repeats work while it fails for reasons that pass, until the signal aborts. */
  outlast<Result>(work: () => Promise<Result>, signal: AbortSignal): Promise<Result>
  /** Calls back whenever the database writes again after it only read; returns what ends that. */
  whenWritable(callback: () => void): () => void
}

/**
 * Many find out at the same time, and each tries again many times: the database is away from the first who fails until
 * all who failed have got through.
 *
 * @param database how the log may name it
 */
export function createOutage(logger: Logger, database: string): Outage {
  const failing = new Set<object>()
  const callbacks = new Set<() => void>()
  let sinceMs = 0
  let hasOnlyRead = false
  const outage: Outage = {
    get isAway() {
      return failing.size > 0
    },
    failed(who, error) {
      const reason = describeFailure(error, database)
      logger.debug(`The database did not answer: ${reason}`, { event: 'database.failed', error })
      if (failing.size === 0) {
        sinceMs = performance.now()
        logger.warn(`The database is away: ${reason}; trying again until it is back`, { event: 'database.away' })
      }
      failing.add(who)
      hasOnlyRead ||= isReadOnly(error)
    },
    recovered(who) {
      if (!failing.delete(who) || failing.size > 0) return
      const awayMs = Math.round(performance.now() - sinceMs)
      const seconds = awayMs < 10_000 ? (awayMs / 1_000).toFixed(1) : Math.round(awayMs / 1_000)
      logger.info(`The database is back after ${seconds} s`, { event: 'database.back', awayMs })
      if (!hasOnlyRead) return
      hasOnlyRead = false
      for (const callback of [...callbacks]) callback()
    },
    forget: who => void failing.delete(who),
    async outlast(work, signal) {
      const who = {}
      try {
        const result = await repeat(work, {
          signal,
          pauses: PAUSES,
          onFailure(error) {
            if (!isTransientFailure(error)) throw error
            outage.failed(who, error)
          }
        })
        outage.recovered(who)
        return result
      } finally {
        outage.forget(who)
      }
    },
    whenWritable(callback) {
      callbacks.add(callback)
      return () => void callbacks.delete(callback)
    }
  }
  return outage
}

const PAUSES = { leastMs: 100, mostMs: 2_000 }
