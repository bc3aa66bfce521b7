import { type Names, refuseUnknown } from './check/options.ts'
import { type Duration, toMilliseconds } from './duration.ts'
import { describe } from './text/describe.ts'

/**
 * How long a job waits after a failed attempt:
 *
 * - `'exponential'`: a second after the first attempt, then twice as long each time, up to six hours, a quarter of it
 *   left to chance; {@linkcode ExponentialBackoff} sets the figures.
 * - {@linkcode FixedBackoff}: the same each time.
 * - a list of durations: one for each attempt; the last is repeated.
 * - a function of the attempt that failed, from 1, and its error. If it throws, `'exponential'` holds.
 *
 * @example
 * ```ts
 * import { defineTask } from 'kretes'
 *
 * export default defineTask({
 *   name: 'CallPartner',
 *   maxAttempts: 4,
 *   backoff: ['5s', '1m', '1h'],
 *   run: async (input: { url: string }) => (await fetch(input.url)).status
 * })
 * ```
 */
export type Backoff =
  | 'exponential'
  | ExponentialBackoff
  | FixedBackoff
  | readonly Duration[]
  | ((attempt: number, error: unknown) => Duration)

/** Twice as long after each attempt. */
export interface ExponentialBackoff {
  /** Which form of backoff this is. */
  type: 'exponential'
  /**
   * How long after the first attempt.
   *
   * @default '1s'
   */
  base?: Duration
  /**
   * How long at most.
   *
   * @default '6h'
   */
  max?: Duration
  /**
   * How much of it is left to chance, from 0 to 1, so that jobs that failed together do not come back together: with
   * 0.25 a delay of 8 seconds is anything from 6 to 8.
   *
   * @default 0.25
   */
  jitter?: number
}

/** Equally long after each attempt. */
export interface FixedBackoff {
  /** Which form of backoff this is. */
  type: 'fixed'
  /** How long. */
  delay: Duration
}

/** How many milliseconds to wait after an attempt that failed with an error. */
export type DelayOf = (attempt: number, error: unknown) => number

/**
 * Makes a function of whatever form a backoff has.
 *
 * @param doing what cannot be done with a wrong one, for the error
 * @throws {TypeError} if it is none
 * @throws {RangeError} if one of its figures is out of range
 */
export function compileBackoff(backoff: Backoff, doing: string): DelayOf {
  if (typeof backoff === 'function') {
    return (attempt, error) => toMilliseconds(backoff(attempt, error), 'retry the job', "the backoff's result")
  }
  if (Array.isArray(backoff)) return compileList(backoff, doing)
  const given: { type?: unknown } = backoff === 'exponential' ? { type: backoff } : ((backoff ?? {}) as object)
  const names = given.type === 'fixed' ? FIXED : EXPONENTIAL
  if (given.type === 'exponential' || given.type === 'fixed')
    refuseUnknown(given, names, doing, 'option of the backoff')
  if (given.type === 'exponential') return compileExponential(given as ExponentialBackoff, doing)
  if (given.type === 'fixed') {
    const ms = toMilliseconds((given as FixedBackoff).delay, doing, 'backoff.delay')
    return () => ms
  }
  throw new TypeError(
    `Cannot ${doing}: backoff is ${describe(backoff)}, neither exponential, fixed, a list nor a function`
  )
}

/** What the forms of a backoff may hold. */
const FIXED: Names<FixedBackoff> = { type: true, delay: true }
const EXPONENTIAL: Names<ExponentialBackoff> = { type: true, base: true, max: true, jitter: true }

function compileList(list: readonly Duration[], doing: string): DelayOf {
  const delays = list.map((delay, index) => toMilliseconds(delay, doing, `backoff[${index}]`))
  const last = delays.at(-1)
  if (last === undefined) throw new RangeError(`Cannot ${doing}: backoff is an empty list`)
  return attempt => delays[attempt - 1] ?? last
}

function compileExponential(given: ExponentialBackoff, doing: string): DelayOf {
  const { base = '1s', max = '6h', jitter = 0.25 } = given
  const baseMs = toMilliseconds(base, doing, 'backoff.base')
  const maxMs = toMilliseconds(max, doing, 'backoff.max')
  if (!(jitter >= 0 && jitter <= 1))
    throw new RangeError(`Cannot ${doing}: backoff.jitter is ${jitter}, not from 0 to 1`)
  return attempt => {
    const ms = Math.min(maxMs, baseMs * 2 ** (attempt - 1))
    return Math.round(ms * (1 - jitter * Math.random()))
  }
}
