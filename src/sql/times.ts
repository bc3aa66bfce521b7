import { type Execute, statement } from './statement.ts'

/**
 * Parses a time that the database has written as JSON. A time that a `Date` cannot hold, such as `infinity` or a year
 * after 275760, becomes the first or the last moment that a `Date` can hold.
 */
export function toDate(text: string): Date {
  const [, year = '', rest = '', era] = /^(-?infinity|\d{4,})(.*?)( BC)?$/.exec(text) ?? []
  const isBefore = era !== undefined || year.startsWith('-')
  const number = era === undefined ? Number(year) : 1 - Number(year)
  const date = new Date(`${number < 0 ? '-' : '+'}${String(Math.abs(number)).padStart(6, '0')}${rest}`)
  return Number.isNaN(date.getTime()) ? (isBefore ? FIRST : LAST) : date
}

/** The date of a time in milliseconds since 1970. The time may be infinite. */
export function clampDate(ms: number): Date {
  return new Date(Math.min(Math.max(ms, FIRST.getTime()), LAST.getTime()))
}

/**
 * Whether a time is beyond the range of {@linkcode toDate}: `always` if the time was always past, `never` if it never
 * comes.
 */
export function isBeyond(date: Date): 'always' | 'never' | undefined {
  if (date.getTime() <= FIRST.getTime()) return 'always'
  return date.getTime() >= LAST.getTime() ? 'never' : undefined
}

/** Whether a job with this time was always due, as in {@linkcode dueSince}. */
export function isDueSinceEver(date: Date): boolean {
  return date.getTime() <= 0
}

/**
 * An SQL expression for the time since which a job could run. If the job's time is infinite or not after 1970-01-01,
 * the expression returns the time at which the job was scheduled: servers before version 17 cannot subtract an infinite
 * time, and a sum should not contain it.
 */
export function dueSince(ready: string, scheduled: string): string {
  return `case when ${ready} > 'epoch' and isfinite(${ready}) then ${ready} else ${scheduled} end`
}

/** The time of the database's clock. Only this clock decides which rows are old. */
export async function readClock(execute: Execute): Promise<Date> {
  const [row] = await execute<{ ms: string }>(statement`select ${{ sql: NOW_MS }} as ms`)
  return new Date(Number(row!.ms))
}

/** An SQL expression for the time of the database's clock, in milliseconds since 1970. */
export const NOW_MS = '(extract(epoch from now()) * 1000)::text'

const FIRST = new Date(-8.64e15)
const LAST = new Date(8.64e15)
