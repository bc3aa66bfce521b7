import { type Execute, statement } from './statement.ts'

/**
 * Reads a time that the database has written as JSON. It may hold what a `Date` cannot, such as `infinity`, or a year
 * after 275760: that becomes the first or the last moment that a `Date` can hold.
 */
export function toDate(text: string): Date {
  const [, year = '', rest = '', era] = /^(-?infinity|\d{4,})(.*?)( BC)?$/.exec(text) ?? []
  const isBefore = era !== undefined || year.startsWith('-')
  const number = era === undefined ? Number(year) : 1 - Number(year)
  const date = new Date(`${number < 0 ? '-' : '+'}${String(Math.abs(number)).padStart(6, '0')}${rest}`)
  return Number.isNaN(date.getTime()) ? (isBefore ? FIRST : LAST) : date
}

/** A time in milliseconds since 1970, which may be infinite. */
export function clampDate(ms: number): Date {
  return new Date(Math.min(Math.max(ms, FIRST.getTime()), LAST.getTime()))
}

/** Whether a time is one that {@linkcode toDate} could not hold: it was always, or never comes. */
export function isBeyond(date: Date): 'always' | 'never' | undefined {
  if (date.getTime() <= FIRST.getTime()) return 'always'
  return date.getTime() >= LAST.getTime() ? 'never' : undefined
}

/** As {@linkcode dueSince} has it. */
export function isDueSinceEver(date: Date): boolean {
  return date.getTime() <= 0
}

/**
 * From when on a job could run, as an expression. One that is due since ever, by a time that SQL has given it, waits
 * since it was scheduled: servers before 17 cannot subtract an infinite time, and no sum should hold it.
 */
export function dueSince(ready: string, scheduled: string): string {
  return `case when ${ready} > 'epoch' and isfinite(${ready}) then ${ready} else ${scheduled} end`
}

/** The time by the clock of the database, which is the only one that decides what is old. */
export async function readClock(execute: Execute): Promise<Date> {
  const [row] = await execute<{ ms: string }>(statement`select ${{ sql: NOW_MS }} as ms`)
  return new Date(Number(row!.ms))
}

/** The time by the database's clock in milliseconds since 1970, as an expression. */
export const NOW_MS = '(extract(epoch from now()) * 1000)::text'

const FIRST = new Date(-8.64e15)
const LAST = new Date(8.64e15)
