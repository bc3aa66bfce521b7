import { createHash } from 'node:crypto'
import { checkText } from '../check/text.ts'
import type { Queue } from '../queue.ts'
import { LANE, MOST_LETTERS } from '../rules/lanes.ts'
import type { RateParts } from '../rules/rates.ts'
import { describe } from '../text/describe.ts'
import { type AnyLimit, type Limits, nameOf } from './limit.ts'
import { toRate } from './rate.ts'

/** A limit as the database knows it. */
export interface NamedLimit {
  /** Its kind and its name: `task SendEmail`, `key SendEmail` if each key has the limit, `limit stripe`, `queue crm`. */
  readonly name: string
  /** `null` if any number of jobs may run at the same time. */
  readonly concurrency: number | null
  /** `null` if any number of jobs may begin within a period. */
  readonly rate: RateParts | null
  readonly isKeyed: boolean
}

/** The limits of a task by their names in the database. */
export function limitsOf(task: string, given: Limits<never> | undefined): readonly NamedLimit[] {
  return toList(given).map(limit => ({
    name: nameOf(task, limit),
    concurrency: limit.concurrency ?? null,
    rate: limit.rate === undefined ? null : toRate(limit.rate, `read the limits of ${task}`, 'the rate'),
    isKeyed: limit.per !== undefined
  }))
}

/** The limit of a queue by its name in the database, if the queue has a concurrency. */
export function limitsOfQueue(queue: Queue | null | undefined): readonly NamedLimit[] {
  const { name, concurrency } = queue ?? {}
  return concurrency === undefined ? [] : [{ name: `queue ${name}`, concurrency, rate: null, isKeyed: false }]
}

/** Whether one of the limits has keys, so that the lane of a job depends on its payload. */
export function isPerKey(given: Limits<never>): boolean {
  return toList(given).some(({ per }) => per)
}

/**
 * How many turns a key has in each round of the keys that wait.
 *
 * @throws {RangeError} if the limit's `weight` returns no whole number from 1 to 100
 */
export function weightOf(given: Limits<never> | undefined, key: string): number {
  const weigh = toList(given).find(limit => limit.weight)?.weight
  if (!weigh) return 1
  const weight: unknown = weigh(key)
  if (Number.isInteger(weight) && (weight as number) >= 1 && (weight as number) <= 100) return weight as number
  throw new RangeError(`the limit's weight returns ${describe(weight)}, not a whole number from 1 to 100`)
}

/**
 * The lane of a job with limits: a queue of the engine that only the jobs of the same task and the same key share.
 *
 * @param payload the payload as JSON text
 * @throws {TypeError} if the limit's `per` throws, or returns no key
 */
export function laneOf(
  task: string,
  given: Limits<never>,
  payload: string = '{}',
  doing: string = `schedule ${task}`
): string {
  const per = toList(given).find(limit => limit.per)?.per as ((payload: unknown) => unknown) | undefined
  const key = per && readKey(per, payload, doing)
  return key === undefined ? `${LANE}${task}` : `${LANE}${task} ${key}`
}

/**
 * Writes a key as lanes have it. A number and its text are the same key.
 *
 * @param doing completes "Cannot …" in errors
 * @param what names the key in errors
 * @throws {TypeError} if it is no key
 */
export function toKey(key: unknown, doing: string, what: string): string {
  if (key !== null && !['string', 'number', 'bigint', 'boolean'].includes(typeof key)) {
    const found = key === undefined ? 'nothing' : `a value of type ${typeof key}`
    throw new TypeError(`Cannot ${doing}: ${what} ${found}. A key is a text, a number, true, false or null`)
  }
  checkText(String(key), doing, 'the key')
  return shorten(String(key))
}

/** A name of a queue has 128 characters at most. A long key is cut, and its digest tells it from others. */
function shorten(key: string): string {
  if (key.length <= MOST_OF_KEY) return key
  const digest = createHash('sha256').update(key).digest('base64url').slice(0, DIGEST)
  // By whole characters: some have a length of two.
  return `${[...key.slice(0, MOST_OF_KEY)].slice(0, MOST_OF_KEY / 2).join('')}…${digest}`
}

/** A name of a task has at most half of the characters of a lane. */
const MOST_OF_KEY = MOST_LETTERS / 2 - LANE.length - 1

/** 128 bits. */
const DIGEST = 22

function readKey(per: (payload: unknown) => unknown, payload: string, doing: string): string {
  let key: unknown
  try {
    key = per(JSON.parse(payload))
  } catch (cause) {
    throw new TypeError(
      `Cannot ${doing}: the limit's per has thrown ${cause instanceof Error ? cause : describe(cause)}`,
      { cause }
    )
  }
  return toKey(key, doing, "the limit's per returns")
}

function toList(given: Limits<never> | undefined): readonly AnyLimit<never>[] {
  if (given === undefined) return []
  return (Array.isArray(given) ? given : [given]) as readonly AnyLimit<never>[]
}
