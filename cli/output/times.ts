import { isBeyond } from '../../src/sql/times.ts'
import { lengthOf } from '../../src/text/amounts.ts'

/** `3 min ago`, `in 2 h`, `now`. Pass the database's time as `now`: clocks differ. */
export function relativeTime(date: Date, now: Date): string {
  if (isBeyond(date)) return plainTime(date)
  const ms = date.getTime() - now.getTime()
  if (Math.abs(ms) < 1_000) return 'now'
  const length = lengthOf(Math.abs(ms), 'whole')
  return ms > 0 ? `in ${length}` : `${length} ago`
}

/** `2030-01-31T08:00:00.000Z (in 5 d)`. */
export function exactTime(date: Date, now: Date): string {
  return isBeyond(date) ? plainTime(date) : `${plainTime(date)} (${relativeTime(date, now)})`
}

/** `2030-01-31T08:00:00.000Z`. */
export function plainTime(date: Date): string {
  const beyond = isBeyond(date)
  if (beyond) return beyond === 'never' ? 'never' : 'always due'
  return date.toISOString()
}

/** `4.2 ms`, `57 ms`, `1.3 s`, `2.5 h`; nothing for `null`. */
export function shortLength(ms: number | null): string {
  return ms === null ? '' : lengthOf(ms, 'short')
}
