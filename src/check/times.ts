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
    runAt: runAt === undefined ? null : toInstant(runAt, doing, 'runAt'),
    delayMs: delay === undefined ? null : toMilliseconds(delay, doing, 'delay')
  }
}

/**
 * Reads a point in time, in ISO 8601.
 *
 * @throws {TypeError} if it is neither a date nor a text
 * @throws {RangeError} if it is not a time with a zone, or out of range
 */
export function toInstant(given: unknown, doing: string, name: string): string {
  if (typeof given === 'string' && !INSTANT.test(given)) {
    throw new RangeError(
      `Cannot ${doing}: ${name} is ${JSON.stringify(given)}, not a time with a zone such as 2030-01-31T08:00:00Z`
    )
  }
  if (typeof given !== 'string' && !(given instanceof Date)) {
    throw new TypeError(`Cannot ${doing}: ${name} is ${describe(given)}, neither a Date nor a string`)
  }
  const time = new Date(given)
  checkTime(time, doing, name, given)
  return time.toISOString()
}

/** A point in time: date, time and zone, so that it means the same on every machine. */
const INSTANT = /^[+-]?\d{4,6}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d(?::?\d\d)?)$/i
