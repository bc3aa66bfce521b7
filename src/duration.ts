import { type Names, refuseUnknown } from './check/options.ts'

/**
 * A length of time: milliseconds as a number, words as in `'1h30m'`, `'500ms'` or `'2 days'`, or an object with units, such
 * as a `Temporal.Duration`.
 */
export type Duration = number | string | DurationUnits

/** A length of time in units, as in `{ minutes: 5 }`. Years and months are refused: they have no fixed length. */
export interface DurationUnits {
  /** Seven days each. */
  readonly weeks?: number
  /** 24 hours each. */
  readonly days?: number
  /** 60 minutes each. */
  readonly hours?: number
  /** 60 seconds each. */
  readonly minutes?: number
  /** 1,000 milliseconds each. */
  readonly seconds?: number
  /** A fraction is rounded. */
  readonly milliseconds?: number
}

/**
 * Reads a duration as whole milliseconds.
 *
 * @param doing completes "Cannot …" in errors
 * @param name the name of the duration in errors
 * @throws {TypeError} if it is not a duration
 * @throws {RangeError} if it is negative or longer than 100 years, or has a unit without a fixed length
 */
export function toMilliseconds(duration: Duration, doing: string, name: string): number {
  const milliseconds = toTimeLimit(duration, doing, name)
  if (milliseconds > MAX_MS) throw new RangeError(`Cannot ${doing}: ${name} is longer than 100 years`)
  return milliseconds
}

/**
 * Reads a time limit as whole milliseconds. Unlike {@linkcode toMilliseconds}, this takes durations of any length:
 * `Number.MAX_SAFE_INTEGER` means no limit.
 *
 * @param doing completes "Cannot …" in errors
 * @param name the name of the limit in errors
 * @throws {TypeError} if it is not a duration
 * @throws {RangeError} if it is negative or infinite, or has a unit without a fixed length
 */
export function toTimeLimit(duration: Duration, doing: string, name: string): number {
  const fail = (reason: string): RangeError => new RangeError(`Cannot ${doing}: ${name} ${reason}`)
  if (typeof duration === 'object' && duration !== null) refuseUnknown(duration, UNIT_NAMES, doing, `unit of ${name}`)
  const parsed = parse(duration)
  if (parsed === undefined) {
    const said = typeof duration === 'string' ? JSON.stringify(duration) : kindOf(duration)
    throw new TypeError(`Cannot ${doing}: ${name} is ${said}, not a duration such as '5m', 300_000 or { minutes: 5 }`)
  }
  if (typeof parsed === 'string') throw fail(`counts ${parsed}, which have no fixed length`)
  const milliseconds = Math.round(parsed)
  if (!(milliseconds >= 0)) throw fail(`is ${parsed} ms, less than nothing`)
  if (milliseconds === Number.POSITIVE_INFINITY) throw fail('is infinite')
  return milliseconds
}

/** Within this length, times stay exact to the microsecond, which keeps the rows of a statement in order. */
const MAX_MS = 100 * 365.25 * 86_400_000

const UNITS = {
  weeks: 604_800_000,
  days: 86_400_000,
  hours: 3_600_000,
  minutes: 60_000,
  seconds: 1_000,
  milliseconds: 1
}

const UNIT_NAMES: Names<typeof UNITS & Record<'years' | 'months' | 'microseconds' | 'nanoseconds', number>> = {
  weeks: true,
  days: true,
  hours: true,
  minutes: true,
  seconds: true,
  milliseconds: true,
  microseconds: true,
  nanoseconds: true,
  years: true,
  months: true
}

/** The names of units in words, each also in the plural. */
const WORDS: Readonly<Record<string, number>> = {
  w: UNITS.weeks,
  week: UNITS.weeks,
  d: UNITS.days,
  day: UNITS.days,
  h: UNITS.hours,
  hour: UNITS.hours,
  m: UNITS.minutes,
  min: UNITS.minutes,
  minute: UNITS.minutes,
  s: UNITS.seconds,
  sec: UNITS.seconds,
  second: UNITS.seconds,
  ms: UNITS.milliseconds,
  millisecond: UNITS.milliseconds
}

/** Returns milliseconds, or the unit that has no fixed length, or `undefined` if this is not a duration. */
function parse(duration: unknown): number | 'years' | 'months' | undefined {
  if (typeof duration === 'number') return Number.isNaN(duration) ? undefined : duration
  if (typeof duration === 'string') return parseWords(duration)
  if (typeof duration !== 'object' || duration === null) return undefined
  return parseUnits(duration as Record<string, unknown>)
}

function parseWords(text: string): number | undefined {
  const parts = [...text.matchAll(/\s*(\d+(?:\.\d+)?)\s*([a-z]+)/gy)]
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text.trimEnd()) return undefined
  let total = 0
  for (const [, amount, word = ''] of parts) {
    const unit = WORDS[word] ?? (word.length > 2 && word.endsWith('s') ? WORDS[word.slice(0, -1)] : undefined)
    if (unit === undefined) return undefined
    total += Number(amount) * unit
  }
  return total
}

function parseUnits(units: Record<string, unknown>): number | 'years' | 'months' | undefined {
  for (const unit of ['years', 'months'] as const) if (units[unit]) return unit
  let total: number | undefined
  for (const [unit, milliseconds] of Object.entries({ ...UNITS, microseconds: 0.001, nanoseconds: 0.000_001 })) {
    const amount = units[unit]
    if (amount === undefined) continue
    if (typeof amount !== 'number' || !Number.isFinite(amount)) return undefined
    total = (total ?? 0) + amount * milliseconds
  }
  return total
}

function kindOf(value: unknown): string {
  if (value === null || typeof value === 'number') return String(value)
  return typeof value === 'object' ? 'an object without units of time' : `of type ${typeof value}`
}
