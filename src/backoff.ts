import { type Names, refuseUnknown } from './check/options.ts'
import { type Duration, toMilliseconds } from './duration.ts'
import { describe } from './text/describe.ts'

/**
 * The delay after a failed attempt:
 *
 * - `'exponential'`: a second after the first attempt, then twice as long each time, up to six hours, with a jitter of a
 *   quarter. {@linkcode ExponentialBackoff} changes these figures.
 * - {@linkcode FixedBackoff}: always the same.
 * - a list of durations: one for each attempt; the last one repeats.
 * - a function of the failed attempt's number, from 1, and its error. If it throws, `'exponential'` applies.
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

/** A delay that doubles after each attempt. */
export interface ExponentialBackoff {
  /** The form of the backoff. */
  type: 'exponential'
  /**
   * The delay after the first attempt.
   *
   * @default '1s'
   */
  base?: Duration
  /**
   * The longest delay.
   *
   * @default '6h'
   */
  max?: Duration
  /**
   * The random share of the delay, from 0 to 1, so that jobs that fail together do not retry together. With 0.25, a delay
   * of 8 seconds is anything from 6 to 8.
   *
   * @default 0.25
   */
  jitter?: number
}

/** The same delay after each attempt. */
export interface FixedBackoff {
  /** The form of the backoff. */
  type: 'fixed'
  /** The delay. */
  delay: Duration
}

/** Returns the delay after a failed attempt, in milliseconds. */
export type DelayOf = (attempt: number, error: unknown) => number

/**
 * Turns a backoff of any form into a function.
 *
 * @param doing completes "Cannot …" in errors
 * @throws {TypeError} if it is not a backoff
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

/** The options of each form of a backoff. */
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
