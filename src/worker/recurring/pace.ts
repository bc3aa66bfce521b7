import { recurringTimings } from '../../rules/timings.ts'

/** What a look for occurrences has shown. Times are in milliseconds since 1970, by the clock of the database. */
export interface Look {
  readonly nowMs: number
  /** The earliest occurrence that was due, or `null`. */
  readonly firstMs: number | null
  /** The occurrence after those that were due, or `null`. */
  readonly nextMs: number | null
  /** Whether other workers have scheduled some of the occurrences at the same time. */
  readonly isBeaten: boolean
}

/** How long a worker pauses between two looks for occurrences. */
export interface Pace {
  readonly pauseMs: number
  /** Call after each look. */
  looked(look: Look): void
}

/**
 * Occurrences that come close together are scheduled together. While one worker is enough for them, the others look
 * less often: together they look about as often as one worker alone, so that their number costs nothing. No pause is so
 * long that occurrences come late when a worker dies.
 */
export function createPace(): Pace {
  let pauseMs = recurringTimings.leastPauseMs
  let expectedMs = Number.POSITIVE_INFINITY

  return {
    get pauseMs() {
      return pauseMs
    },
    looked({ nowMs, firstMs, nextMs, isBeaten }) {
      const isTaken = expectedMs <= nowMs && (firstMs === null || firstMs > expectedMs)
      const lateMs = firstMs === null ? 0 : nowMs - firstMs
      const othersSuffice = (isTaken || isBeaten) && lateMs < recurringTimings.leastPauseMs
      pauseMs = othersSuffice
        ? Math.min(pauseMs * LONGER, recurringTimings.mostPauseMs)
        : Math.max(pauseMs * SHORTER, recurringTimings.leastPauseMs)
      expectedMs = nextMs ?? Number.POSITIVE_INFINITY
    }
  }
}

const LONGER = 1.5
const SHORTER = 0.75
