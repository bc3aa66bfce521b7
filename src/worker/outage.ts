import { repeat } from '../async/repeat.ts'
import { describeFailure, isReadOnly, isTransientFailure } from '../database/failure.ts'
import type { Logger } from '../logger.ts'
import { pauses } from '../rules/timings.ts'
import { lengthOf } from '../text/amounts.ts'

/** Knows whether the database is unavailable. Logs once when an outage begins and once when it ends. */
export interface Outage {
  readonly isAway: boolean
  /** Call when a caller cannot reach the database and will try again. */
  failed(caller: object, error: unknown): void
  /** Call when the same caller has reached the database. */
  recovered(caller: object): void
  /** Call when the same caller has given up. */
  forget(caller: object): void
  /** Runs work, and repeats it after transient failures until the signal aborts. */
  outlast<Result>(work: () => Promise<Result>, signal: AbortSignal): Promise<Result>
  /** Calls back each time the database is writable again after it was read-only. Returns a function that ends this. */
  whenWritable(callback: () => void): () => void
}

/**
 * Many callers notice an outage at the same time, and each of them tries again many times. The outage lasts from the
 * first failure until all callers that failed have reached the database.
 *
 * @param database the name of the database, without secrets, for logs
 */
export function createOutage(logger: Logger, database: string): Outage {
  const failing = new Set<object>()
  const callbacks = new Set<() => void>()
  let sinceMs = 0
  let wasReadOnly = false
  const outage: Outage = {
    get isAway() {
      return failing.size > 0
    },
    failed(caller, error) {
      const reason = describeFailure(error, database)
      logger.debug(`The database did not answer: ${reason}`, { event: 'database.failed', error })
      if (failing.size === 0) {
        sinceMs = performance.now()
        logger.warn(`The database is unavailable: ${reason}; trying again until it is back`, { event: 'database.away' })
      }
      failing.add(caller)
      wasReadOnly ||= isReadOnly(error)
    },
    recovered(caller) {
      if (!failing.delete(caller) || failing.size > 0) return
      const awayMs = Math.round(performance.now() - sinceMs)
      logger.info(`The database is back after ${lengthOf(awayMs, 'short')}`, { event: 'database.back', awayMs })
      if (!wasReadOnly) return
      wasReadOnly = false
      for (const callback of [...callbacks]) callback()
    },
    forget: caller => void failing.delete(caller),
    async outlast(work, signal) {
      const caller = {}
      try {
        const result = await repeat(work, {
          signal,
          pauses: pauses.database,
          onFailure(error) {
            if (!isTransientFailure(error)) throw error
            outage.failed(caller, error)
          }
        })
        outage.recovered(caller)
        return result
      } finally {
        outage.forget(caller)
      }
    },
    whenWritable(callback) {
      callbacks.add(callback)
      return () => void callbacks.delete(callback)
    }
  }
  return outage
}
