import { toMilliseconds } from '../duration.ts'
import type { RateParts } from '../rules/rates.ts'
import { describe } from '../text/describe.ts'

/**
 * Reads a rate.
 *
 * @param doing completes "Cannot …" in errors
 * @param name the name of the rate in errors
 * @throws {TypeError} if it is not a rate
 * @throws {RangeError} if the number or the period is out of range
 */
export function toRate(rate: unknown, doing: string, name: string): RateParts {
  const [, count, amount, unit] = (typeof rate === 'string' && PATTERN.exec(rate)) || []
  const periodMs = unit === undefined ? undefined : readPeriod(`${amount || 1}${unit}`, doing, name)
  if (count === undefined || periodMs === undefined) {
    throw new TypeError(`Cannot ${doing}: ${name} is ${describe(rate)}, not a rate such as '100/min' or '10/30s'`)
  }
  if (Number(count) < 1 || Number(count) > MOST_JOBS) {
    throw new RangeError(`Cannot ${doing}: ${name} is for ${count} jobs, not for 1 to 1,000,000`)
  }
  if (periodMs < LEAST_PERIOD_MS || periodMs > MOST_PERIOD_MS) {
    throw new RangeError(`Cannot ${doing}: the period of ${name} is ${amount}${unit}, not 1 second to 366 days`)
  }
  return { count: Number(count), periodMs }
}

function readPeriod(period: string, doing: string, name: string): number | undefined {
  try {
    return toMilliseconds(period, doing, name)
  } catch (error) {
    if (error instanceof RangeError) return Number.POSITIVE_INFINITY
    return undefined
  }
}

const PATTERN = /^\s*(\d+)\s*\/\s*(\d*)\s*([a-z]+)\s*$/

const MOST_JOBS = 1_000_000
const LEAST_PERIOD_MS = 1_000
const MOST_PERIOD_MS = 366 * 86_400_000
