import { nextOccurrence } from './occurrences.ts'
import type { Rule } from './rule.ts'
import { offsetAt } from './zone.ts'

/** An occurrence that is to come, as `preview` computes it. */
export interface Occurrence {
  /** The moment. */
  readonly at: Date
  /** The local time in the time zone of the recurring job, with its offset: `2030-03-31T03:00:00+02:00`. */
  readonly local: string
  /**
   * Whether the clocks of the time zone change on that day: `'forward'` as in spring, `'back'` as in autumn, or `null`.
   */
  readonly clockChange: 'forward' | 'back' | null
}

/** The next occurrences after a moment, the first of them `firstMs` if it is given. */
export function previewOccurrences(rule: Rule, afterMs: number, firstMs: number | null, count: number): Occurrence[] {
  const found: Occurrence[] = []
  let at = firstMs ?? nextOccurrence(rule, afterMs)
  while (at !== null && found.length < count) {
    found.push(toOccurrence(at, rule.timeZone))
    at = nextOccurrence(rule, at, at)
  }
  return found
}

function toOccurrence(ms: number, timeZone: string): Occurrence {
  const offset = offsetAt(timeZone, ms)
  return { at: new Date(ms), local: toLocal(ms, offset), clockChange: changeOn(ms, offset, timeZone) }
}

function toLocal(ms: number, offset: number): string {
  const minutes = Math.floor(Math.abs(offset) / 60_000)
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60].map(part => String(part).padStart(2, '0'))
  const local = new Date(ms + offset).toISOString().replace(/\.000Z$|Z$/, '')
  return `${local}${offset < 0 ? '-' : '+'}${hours}:${rest}`
}

/** Compares the offsets before the local day and at its end. A change at midnight belongs to the day that begins. */
function changeOn(ms: number, offset: number, timeZone: string): Occurrence['clockChange'] {
  const midnight = Math.floor((ms + offset) / DAY_MS) * DAY_MS
  const before = offsetBefore(midnight, timeZone)
  const after = offsetBefore(midnight + DAY_MS, timeZone)
  if (before === after) return null
  return after > before ? 'forward' : 'back'
}

/** The offset just before the first moment of a local day. Its midnight may come twice, or not at all. */
function offsetBefore(midnight: number, timeZone: string): number {
  const earlier = offsetAt(timeZone, midnight - DAY_MS)
  const first = midnight - earlier
  if (offsetAt(timeZone, first - 1) === earlier && offsetAt(timeZone, first) >= earlier) return earlier
  return offsetAt(timeZone, midnight - offsetAt(timeZone, midnight + DAY_MS) - 1)
}

const DAY_MS = 86_400_000
