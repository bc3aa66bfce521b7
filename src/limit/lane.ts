import { createHash } from 'node:crypto'
import { checkText } from '../check/text.ts'
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

/** Whether one of the limits has keys, so that the lane of a job depends on its payload. */
export function isPerKey(given: Limits<never>): boolean {
  return toList(given).some(({ per }) => per)
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
  return key === undefined ? `${LANE}${task}` : `${LANE}${task} ${shorten(key)}`
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
  if (key !== null && !['string', 'number', 'bigint', 'boolean'].includes(typeof key)) {
    throw new TypeError(
      `Cannot ${doing}: the limit's per returns ${key === undefined ? 'nothing' : `a value of type ${typeof key}`}. A key is a text, a number, true, false or null`
    )
  }
  checkText(String(key), doing, "the key of the limit's per")
  return String(key)
}

function toList(given: Limits<never> | undefined): readonly AnyLimit<never>[] {
  if (given === undefined) return []
  return (Array.isArray(given) ? given : [given]) as readonly AnyLimit<never>[]
}
