import { type Duration, toMilliseconds } from '../duration.ts'
import { describe } from '../text/describe.ts'
import { checkTime } from './values.ts'

/** When a job is due: at most one of the two is not `null`. */
export interface Times {
  readonly runAt: string | null
  readonly delayMs: number | null
}

/**
 * Reads when a job is due.
 *
 * @throws {TypeError} if both are given, or one has the wrong type
 * @throws {RangeError} if one is out of range
 */
export function toTimes(
  { runAt, delay }: { readonly runAt?: Date | string; readonly delay?: Duration },
  doing: string
): Times {
  if (runAt !== undefined && delay !== undefined) {
    throw new TypeError(`Cannot ${doing}: both runAt and delay are given`)
  }
  return {
    runAt: runAt === undefined ? null : toInstant(runAt, doing),
    delayMs: delay === undefined ? null : toMilliseconds(delay, doing, 'delay')
  }
}

function toInstant(runAt: unknown, doing: string): string {
  if (typeof runAt === 'string' && !INSTANT.test(runAt)) {
    throw new RangeError(
      `Cannot ${doing}: runAt is ${JSON.stringify(runAt)}, not a time with a zone such as 2030-01-31T08:00:00Z`
    )
  }
  if (typeof runAt !== 'string' && !(runAt instanceof Date)) {
    throw new TypeError(`Cannot ${doing}: runAt is ${describe(runAt)}, neither a Date nor a string`)
  }
  const time = new Date(runAt)
  checkTime(time, doing, 'runAt', runAt)
  return time.toISOString()
}

/** A point in time: date, time and zone, so that it means the same on every machine. */
const INSTANT = /^[+-]?\d{4,6}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d(?::?\d\d)?)$/i
