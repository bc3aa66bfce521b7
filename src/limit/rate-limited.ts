import { type Names, refuseUnknown } from '../check/options.ts'
import type { Duration } from '../duration.ts'
import { Snooze } from '../errors.ts'
import { describe } from '../text/describe.ts'
import type { NamedLimit } from './lane.ts'
import type { Limit } from './limit.ts'

/** The options of a {@linkcode RateLimited}. */
export interface RateLimitedOptions {
  /**
   * Which limit to hold: one that tasks share, or its name.
   *
   * @default the task's limit with keys, otherwise its first limit that tasks share, otherwise its own
   */
  limit?: Pick<Limit, 'name'> | string
}

/**
 * Throw this in a task if a service has refused the call because there were too many. No job of the limit begins for a while,
 * on no worker; if the limit has keys, no job of the same key. The run is not a failure and does not count as an attempt, and
 * the job keeps its place. For a task without limits, this is a {@linkcode Snooze}: only this job waits.
 *
 * @example
 * ```ts
 * import { defineTask, Limit, RateLimited } from 'kretes'
 *
 * export default defineTask({
 *   name: 'SyncOrders',
 *   limit: Limit.for('shop', { rate: '90/min' }),
 *   run: async ({ url }: { url: string }) => {
 *     const response = await fetch(url)
 *     if (response.status === 429) throw new RateLimited({ seconds: Number(response.headers.get('Retry-After')) || 30 })
 *   }
 * })
 * ```
 */
export class RateLimited extends Snooze {
  /** `RateLimited`. */
  override readonly name: string = 'RateLimited'

  /** The name of the limit to hold, if one was given. */
  readonly limit: string | undefined

  /**
   * Creates an error that holds a limit.
   *
   * @param length for how long, by the database's clock: milliseconds, `'30s'`, `{ seconds: 30 }`; or until when
   * @throws {TypeError} if the length is neither a duration nor a time, or the limit neither a limit nor a name
   * @throws {RangeError} if the duration is negative or longer than 100 years, or the time is not from 1970 to 9999
   */
  constructor(length: Duration | { readonly until: Date | string }, options: RateLimitedOptions = {}) {
    super(length)
    refuseUnknown(options, OPTIONS, 'hold a limit')
    const { limit } = options
    const name = typeof limit === 'object' && limit !== null ? limit.name : limit
    if (limit !== undefined && typeof name !== 'string') {
      throw new TypeError(`Cannot hold a limit: limit is ${describe(limit)}, not made by Limit.for() and no name`)
    }
    this.message = this.message.replace('Snoozed', 'Rate limited')
    this.limit = name
    Object.defineProperty(this, RATE_LIMITED, { value: true })
  }
}

/** Whether this is a {@linkcode RateLimited}, even of another copy of this module. */
export function isRateLimited(error: Snooze): error is RateLimited {
  return RATE_LIMITED in error
}

/**
 * Returns the limit that a task's error holds, if the task has limits.
 *
 * @throws {RangeError} if the task does not have the limit that was given
 */
export function limitToHold(error: RateLimited, limits: readonly NamedLimit[], task: string): NamedLimit | undefined {
  const { limit: given } = error
  if (given === undefined) {
    return limits.find(({ isKeyed }) => isKeyed) ?? limits.find(({ name }) => isShared(name)) ?? limits[0]
  }
  const limit = limits.find(({ name }) => name === `${SHARED}${given}`)
  if (limit) return limit
  const shared = limits.flatMap(({ name }) => (isShared(name) ? name.slice(SHARED.length) : []))
  const known = shared.length === 0 ? 'none that tasks share' : `only ${shared.join(', ')}`
  throw new RangeError(`Cannot hold the limit ${describe(given)}: ${task} has no such limit, ${known}`)
}

function isShared(name: string): boolean {
  return name.startsWith(SHARED)
}

/** The name of a shared limit in the database begins with this. */
const SHARED = 'limit '

const OPTIONS: Names<RateLimitedOptions> = { limit: true }

/** A registered symbol, because the application and the worker may have two copies of this module. */
const RATE_LIMITED: unique symbol = Symbol.for('kretes.error.rateLimited') as never
