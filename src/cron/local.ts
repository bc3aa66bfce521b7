import { offsetAt } from './zone.ts'

/** The local time of a zone at a moment: what its clocks show, as if they showed UTC, in milliseconds since 1970. */
export function localTimeAt(timeZone: string, ms: number): number {
  return ms + offsetAt(timeZone, ms)
}

/**
 * The moment of a local time. If the clocks show it twice, this is the first time. If they skip it, this is the end of
 * the gap.
 */
export function momentOf(timeZone: string, local: number): number {
  const [before, after] = [offsetAt(timeZone, local - DAY_MS), offsetAt(timeZone, local + DAY_MS)]
  const [first, second] = [local - before, local - after]
  if (before === after || offsetAt(timeZone, first) === before) return first
  if (offsetAt(timeZone, second) === after) return second
  return changeBetween(timeZone, second, first)
}

/** The moment at which the clocks change between two moments. */
function changeBetween(timeZone: string, from: number, to: number): number {
  const offset = offsetAt(timeZone, to)
  let [low, high] = [from, to]
  while (high - low > 1_000) {
    const middle = low + Math.floor((high - low) / 2_000) * 1_000
    if (offsetAt(timeZone, middle) === offset) high = middle
    else low = middle
  }
  return high
}

const DAY_MS = 86_400_000
