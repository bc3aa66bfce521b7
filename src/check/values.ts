import { describe } from '../text/describe.ts'
import { checkText } from './text.ts'

/** Checks a job's key. */
export function checkKey(key: unknown, doing: string): asserts key is string {
  checkText(key, doing, 'key')
  if (key === '') throw new RangeError(`Cannot ${doing}: key is empty`)
  // The database counts characters. Some have a length of two here.
  const length = key.length > MAX_KEY_LENGTH ? [...key].length : key.length
  if (length > MAX_KEY_LENGTH) {
    throw new RangeError(`Cannot ${doing}: key has ${length} characters, more than ${MAX_KEY_LENGTH}`)
  }
}

/** Checks a whole number of a range, bounds included. */
export function checkWholeNumber(value: unknown, [low, high]: [number, number], doing: string, name: string): void {
  if (typeof value !== 'number') throw new TypeError(`Cannot ${doing}: ${name} is ${describe(value)}, not a number`)
  if (Number.isInteger(value) && value >= low && value <= high) return
  const range = `${low.toLocaleString('en')} to ${high.toLocaleString('en')}`
  throw new RangeError(`Cannot ${doing}: ${name} is ${value}, not a whole number from ${range}`)
}

/** Checks that a time is valid, in a range that the database and all readers of its rows can hold, and in the calendar. */
export function checkTime(time: Date, doing: string, name: string, given: unknown = time): void {
  if (Number.isNaN(time.getTime())) throw new RangeError(`Cannot ${doing}: ${name} is an invalid date`)
  const year = time.getUTCFullYear()
  if (time.getTime() < 0 || year > 9_999) {
    throw new RangeError(`Cannot ${doing}: ${name} is in the year ${year}, not from 1970 to 9999`)
  }
  if (typeof given !== 'string' || isRealDay(given)) return
  throw new RangeError(`Cannot ${doing}: ${name} is ${JSON.stringify(given)}, a day that no calendar has`)
}

/** Whether the day of a time in ISO 8601 exists: JavaScript turns 30 February into 2 March. */
export function isRealDay(text: string): boolean {
  const [, year, month, day] = /^([+-]?\d{4,6})-(\d\d)-(\d\d)/.exec(text) ?? []
  if (day === undefined) return true
  return new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate() === Number(day)
}

/** The engine refuses longer keys. */
const MAX_KEY_LENGTH = 512
