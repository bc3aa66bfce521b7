import { type Names, refuseUnknown } from '../check/options.ts'
import { checkText } from '../check/text.ts'
import { checkWholeNumber } from '../check/values.ts'
import { MOST_LETTERS } from '../rules/lanes.ts'
import type { Rate } from '../rules/rates.ts'
import { describe } from '../text/describe.ts'
import { toRate } from './rate.ts'

/** The key of a job for a limit. Jobs with the same key share the limit. A number and its text are the same key. */
export type LimitKey = string | number | bigint | boolean | null

/** How many jobs may run at the same time, or begin within a period, or both. */
export type LimitOptions<Input extends object = object> = LimitNumbers<Input> &
  (Required<Pick<LimitNumbers, 'concurrency'>> | Required<Pick<LimitNumbers, 'rate'>>)

/** The options of a limit. It has a concurrency or a rate, or both. */
export interface LimitNumbers<Input extends object = object> {
  /**
   * How many jobs run at the same time, on all workers together: from 1 to 1,000,000.
   *
   * @default no limit, if there is a rate
   */
  concurrency?: number
  /**
   * How many jobs begin within a period, on all workers together: `'100/min'` are 100 within any 60 seconds. 1 to 1,000,000
   * jobs in 1 second to 366 days. Each attempt of a job counts.
   *
   * @default no limit, if there is a concurrency
   */
  rate?: Rate
  /**
   * Returns the key of a job, from its payload as JSON holds it. Each key has the limit for itself.
   *
   * @default none: all jobs share the limit
   */
  per?: (payload: Input) => LimitKey
  /**
   * Returns how many turns a key has in each round of the keys that wait: a whole number from 1 to 100. The key is a text, as in
   * the view `kretes.jobs`. Only with `per`. Workers call it often, so it must be fast.
   *
   * @default 1 for each key
   */
  weight?: (key: string) => number
}

/** A limit that several tasks share. Make it with {@linkcode Limit.for}. */
export type Limit<Input extends object = object> = Readonly<LimitOptions<Input>> & {
  /** The name of the limit. */
  readonly name: string
}

/** One limit, or a list of them that all hold. At most one of a list has keys. */
export type Limits<Input extends object = object> = AnyLimit<Input> | readonly AnyLimit<Input>[]

/** The limits of a task. */
export interface TaskLimits<Input extends object = object> {
  /**
   * How many of the task's jobs run at the same time or begin within a period, on all workers together; or a list of such
   * limits, which all hold. A task with limits has no queue.
   *
   * @default no limit
   */
  limit?: Limits<Input>
}

/** A limit with or without a name. */
export type AnyLimit<Input extends object> = LimitOptions<Input> | Limit<Input>

/**
 * Creates limits that several tasks share.
 *
 * @example Two tasks that call the same service
 * ```ts
 * import { defineTask, Limit } from 'kretes'
 *
 * const limit = Limit.for('stripe', { concurrency: 20, rate: '90/s' })
 * export const ChargeCard = defineTask({ name: 'ChargeCard', limit, run: async () => {} })
 * export const RefundCard = defineTask({ name: 'RefundCard', limit, run: async () => {} })
 * ```
 */
export const Limit: {
  /**
   * Returns the limit of a name. Equal names are the same limit, in every process. If workers have different options for
   * it, those of the worker that started last hold.
   *
   * @param name 1 to 128 characters
   * @throws {TypeError} if the name or an option has the wrong type, or there is no such option
   * @throws {RangeError} if the name is empty or too long, or `concurrency` or `rate` is out of range
   * @example
   * ```ts
   * import { Limit } from 'kretes'
   *
   * const limit = Limit.for('shop', { concurrency: 2, per: (payload: { shop: number }) => payload.shop })
   * ```
   */
  for<Input extends object = object>(name: string, options: LimitOptions<Input>): Limit<Input>
} = {
  for(name, options) {
    checkName(name, 'name a limit', 'its name')
    checkLimit(options, OPTIONS, `define the limit ${name}`)
    return Object.freeze({ ...options, name })
  }
}

/**
 * Checks the limits of a task.
 *
 * @throws {TypeError} if one has the wrong type, two have keys, two without a name have none, or there is a queue too
 * @throws {RangeError} if a number is out of range, the list is empty, or the task's name too long
 */
export function checkLimits(task: string, { limit: given, queue }: { limit?: unknown; queue?: unknown }): void {
  if (given === undefined) return
  const doing = `define ${task}`
  if (task.length > MOST_LETTERS / 2) {
    throw new RangeError(`Cannot ${doing}: the name of a task with limits has ${MOST_LETTERS / 2} characters at most`)
  }
  if (queue) {
    throw new TypeError(
      `Cannot ${doing}: it has both limit and queue. The jobs of a queue run one after another anyway`
    )
  }
  const list: readonly unknown[] = Array.isArray(given) ? given : [given]
  if (list.length === 0) throw new RangeError(`Cannot ${doing}: limit is an empty list`)
  for (const limit of list) checkLimit(limit, LIMIT, doing)
  const limits = list as readonly AnyLimit<object>[]
  if (limits.filter(({ per }) => per).length > 1) {
    throw new TypeError(`Cannot ${doing}: two limits have keys (per). Only one can`)
  }
  const names = limits.map(limit => nameOf('', limit))
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new TypeError(`Cannot ${doing}: two limits are the same. Leave out the larger one`)
}

/** The name of a limit of a task in the database. */
export function nameOf(task: string, limit: AnyLimit<never>): string {
  if ('name' in limit) return `limit ${limit.name}`
  return limit.per ? `key ${task}` : `task ${task}`
}

function checkName(name: unknown, doing: string, what: string): void {
  checkText(name, doing, what)
  if (name !== '' && name.length <= MOST_LETTERS) return
  throw new RangeError(`Cannot ${doing}: ${what} has ${name.length} characters, not 1 to ${MOST_LETTERS}`)
}

function checkLimit(limit: unknown, names: Readonly<Record<string, true>>, doing: string): void {
  if (typeof limit !== 'object' || limit === null) {
    throw new TypeError(`Cannot ${doing}: the limit is ${describe(limit)}, not an object`)
  }
  refuseUnknown(limit, names, doing, 'option of a limit')
  if ('name' in names && 'name' in limit) checkName(limit.name, doing, "the limit's name")
  const { concurrency, rate, per, weight } = limit as LimitOptions
  if (concurrency === undefined && rate === undefined) {
    throw new TypeError(`Cannot ${doing}: the limit has neither a concurrency nor a rate`)
  }
  if (concurrency !== undefined) checkWholeNumber(concurrency, [1, 1_000_000], doing, "the limit's concurrency")
  if (rate !== undefined) toRate(rate, doing, "the limit's rate")
  if (per !== undefined && typeof per !== 'function') {
    throw new TypeError(`Cannot ${doing}: the limit's per is ${describe(per)}, not a function`)
  }
  if (weight === undefined) return
  if (typeof weight !== 'function') {
    throw new TypeError(`Cannot ${doing}: the limit's weight is ${describe(weight)}, not a function`)
  }
  if (per === undefined) throw new TypeError(`Cannot ${doing}: the limit has a weight, but no keys (per)`)
}

const OPTIONS: Names<LimitOptions> = { concurrency: true, rate: true, per: true, weight: true }
const LIMIT: Names<Limit> = { ...OPTIONS, name: true }
