import { describe } from '../text/describe.ts'
import { didYouMean, nearMatches } from '../text/suggest.ts'

/**
 * Checks the name of a time zone: one of the IANA database, such as `Europe/Berlin`, or an offset, such as `+05:30`.
 *
 * @throws {TypeError} if it is no text
 * @throws {RangeError} if there is no such zone
 */
export function checkTimeZone(timeZone: unknown, doing: string): asserts timeZone is string {
  if (typeof timeZone !== 'string') {
    throw new TypeError(`Cannot ${doing}: timeZone is ${describe(timeZone)}, not the name of a time zone`)
  }
  if (isTimeZone(timeZone)) return
  const near = didYouMean(nearMatches(timeZone, Intl.supportedValuesOf('timeZone')))
  throw new RangeError(
    `Cannot ${doing}: timeZone is ${JSON.stringify(timeZone)}, no zone of the IANA database${near || ' such as Europe/Berlin'}`
  )
}

/** How far a zone is ahead of UTC at a moment, in milliseconds. */
export function offsetAt(timeZone: string, ms: number): number {
  const parts = formatterOf(timeZone).formatToParts(ms)
  const read = (type: string): number => Number(parts.find(part => part.type === type)?.value)
  const local = Date.UTC(read('year'), read('month') - 1, read('day'), read('hour'), read('minute'), read('second'))
  return local - Math.floor(ms / 1_000) * 1_000
}

function isTimeZone(timeZone: string): boolean {
  try {
    formatterOf(timeZone)
    return true
  } catch {
    return false
  }
}

const formatters = new Map<string, Intl.DateTimeFormat>()

function formatterOf(timeZone: string): Intl.DateTimeFormat {
  let formatter = formatters.get(timeZone)
  if (!formatter) {
    formatter = new Intl.DateTimeFormat('en-u-ca-iso8601', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric'
    })
    formatters.set(timeZone, formatter)
  }
  return formatter
}
