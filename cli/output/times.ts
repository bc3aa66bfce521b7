import { isBeyond } from '../../src/sql/times.ts'

/** `3 min ago`, `in 2 h`, `now`: near enough to see at a glance. What counts as now, the database says: clocks differ. */
export function relativeTime(date: Date, now: Date): string {
  if (isBeyond(date)) return plainTime(date)
  const ms = date.getTime() - now.getTime()
  const [unit, length] = UNITS.find(([, length]) => Math.abs(ms) >= length) ?? UNITS.at(-1)!
  const amount = Math.floor(Math.abs(ms) / length)
  if (amount === 0) return 'now'
  return ms > 0 ? `in ${amount} ${unit}` : `${amount} ${unit} ago`
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

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000]
] as const
