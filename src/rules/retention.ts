import { type Duration, toMilliseconds } from '../duration.ts'

/** For how long runs are kept: a length of time, `'forever'`, or `false` for not at all. */
export type Keep = Duration | 'forever' | false

/**
 * That time in milliseconds; `null` is for ever.
 *
 * @throws {TypeError} if it is none of these
 * @throws {RangeError} if it is negative
 */
export function toKeptMs(keep: Keep, doing: string, name: string): number | null | false {
  if (keep === false) return false
  return keep === 'forever' ? null : toMilliseconds(keep, doing, name)
}
