import { describe } from '../text/describe.ts'

/** Checks a text that the database must hold. */
export function checkText(value: unknown, doing: string, name: string): asserts value is string {
  if (typeof value !== 'string') throw new TypeError(`Cannot ${doing}: ${name} is ${describe(value)}, not a string`)
  if (value.includes('\u0000') || /\p{Surrogate}/u.test(value)) {
    throw new RangeError(`Cannot ${doing}: ${name} holds a character that PostgreSQL cannot hold`)
  }
}
