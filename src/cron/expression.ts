import { Cron } from 'croner'
import { localTimeAt, momentOf } from './local.ts'

/** Returns the first occurrence after a moment, in milliseconds since 1970; `null` if none comes any more. */
export type CronClock = (afterMs: number) => number | null

/**
 * Reads a cron expression: five fields, six with seconds first, or a nickname such as `@daily`. If both the day of the
 * month and the day of the week are given, either is enough, as in other crons.
 *
 * Daylight saving: an expression with fixed local times runs once for each of them. A time that a change skips moves to
 * the end of the gap, and of a time that comes twice the first one counts. Wildcards and steps in the time follow real
 * time instead.
 *
 * @throws {TypeError} if it is no text
 * @throws {RangeError} with the field that is wrong, or if the expression matches no date
 */
export function compileCron(expression: string, timeZone: string, doing: string): CronClock {
  const key = `${timeZone} ${expression}`
  const known = compiled.get(key)
  if (known) return known
  const cron = parse(expression, timeZone, doing)
  // A million entries may have a million expressions.
  if (compiled.size >= MOST_COMPILED) compiled.clear()
  compiled.set(key, cron)
  return cron
}

const compiled = new Map<string, CronClock>()
const MOST_COMPILED = 2_000

function parse(expression: string, timeZone: string, doing: string): CronClock {
  const fail = (reason: string): RangeError => new RangeError(`Cannot ${doing}: cron ${reason}`)
  const shown = JSON.stringify(expression)
  const fields = expression.trim().split(/\s+/)
  const isNickname = expression.trim().startsWith('@')
  if (isNickname && !NICKNAMES.includes(expression.trim().toLowerCase())) {
    throw fail(`is ${shown}, none of ${NICKNAMES.join(', ')}`)
  }
  if (!isNickname && fields.length !== 5 && fields.length !== 6) {
    const count = expression.trim() === '' ? 'no fields' : fields.length === 1 ? '1 field' : `${fields.length} fields`
    throw fail(`is ${shown}, with ${count}: it needs minute, hour, day, month and weekday, or seconds before them`)
  }
  const wrong = isNickname ? undefined : findWrongField(fields)
  if (wrong) throw fail(`is ${shown}, and its ${wrong.name} is ${JSON.stringify(wrong.text)}: it takes ${wrong.takes}`)
  const isFixed = isNickname ? !expression.includes('hour') : fields.slice(0, -3).every(field => FIXED.test(field))
  const cron = tryCompile(expression, isFixed ? 'UTC' : timeZone)
  if (!cron) throw fail(`is ${shown}, no cron expression`)
  if (!cron.nextRun(ANY_TIME)) throw fail(`is ${shown}, which matches no date`)
  const next = (ms: number): number | null => cron.nextRun(new Date(ms))?.getTime() ?? null
  return isFixed ? atLocalTimes(next, timeZone) : next
}

/** Reads the local times of `next` on the clocks of a zone. */
function atLocalTimes(next: CronClock, timeZone: string): CronClock {
  return afterMs => {
    for (let local = next(localTimeAt(timeZone, afterMs)); local !== null; local = next(local)) {
      const at = momentOf(timeZone, local)
      // Clocks that went back show times again that have been, and times in a gap come at the same moment.
      if (at > afterMs) return at
    }
    return null
  }
}

/** A field without wildcard and step. */
const FIXED = /^[\d,-]+$/

/** The first field that is wrong by itself. */
function findWrongField(fields: readonly string[]): (Field & { readonly text: string }) | undefined {
  const kinds = fields.length === 6 ? FIELDS : FIELDS.slice(1)
  for (const [index, text] of fields.entries()) {
    const alone = kinds.map((_, other) => (other === index ? text : '*')).join(' ')
    // A `?` stands for the time at which the expression is read, except where it means `*`.
    const isOfNow = text.includes('?') && !(text === '?' && kinds[index]!.takesAny)
    if (isOfNow || !tryCompile(alone, 'UTC')) return { ...kinds[index]!, text }
  }
  return undefined
}

function tryCompile(expression: string, timezone: string): Cron | undefined {
  try {
    return new Cron(expression, { timezone, mode: '5-or-6-parts' })
  } catch {
    return undefined
  }
}

interface Field {
  readonly name: string
  /** What the field may hold, in words. */
  readonly takes: string
  /** Whether `?` means any value. */
  readonly takesAny?: true
}

const STEPS = ', *, and lists, ranges and steps such as 1,3 or 1-5 or */2'

const FIELDS: readonly Field[] = [
  { name: 'second', takes: `0 to 59${STEPS}` },
  { name: 'minute', takes: `0 to 59${STEPS}` },
  { name: 'hour', takes: `0 to 23${STEPS}` },
  { name: 'day of the month', takes: `1 to 31, L for the last${STEPS}`, takesAny: true },
  { name: 'month', takes: `1 to 12, JAN to DEC${STEPS}` },
  { name: 'day of the week', takes: `0 to 7 from Sunday, SUN to SAT${STEPS}`, takesAny: true }
]

const NICKNAMES = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly']

/** An expression that matches any date matches one after this. */
const ANY_TIME = new Date(0)
