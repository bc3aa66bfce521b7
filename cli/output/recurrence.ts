import type { RecurringJob } from '../../src/recurring/entry.ts'
import { counted } from '../../src/text/amounts.ts'

/** Says in words when a job recurs: `at 09:00, Monday through Friday, Europe/Berlin`. */
export type Wording = (job: Pick<RecurringJob, 'cron' | 'everyMs' | 'timeZone'>) => string

/** Loads the words for cron expressions, which only lists and descriptions need. */
export async function loadWording(): Promise<Wording> {
  const { default: cronstrue } = await import('cronstrue')

  function describeCron(cron: string): string {
    try {
      const told = cronstrue.toString(cron, { use24HourTimeFormat: true })
      const words = isEitherDay(cron) ? told.replace(', and on ', ' or on ') : told
      return `${words.charAt(0).toLowerCase()}${words.slice(1)}`
    } catch {
      // An expression that the words do not know still recurs.
      return cron
    }
  }

  return ({ cron, everyMs, timeZone }) =>
    cron === null
      ? `every ${exactLength(everyMs ?? 0).replace(/^1 (?=\w+$)/, '')}`
      : `${describeCron(cron)}, ${timeZone}`
}

/** Whether the day of the month or the day of the week is enough. */
function isEitherDay(cron: string): boolean {
  const [day = '*', , weekday = '*'] = cron.split(' ').slice(-3)
  return /^[^*?]/.test(day) && /^[^*?+]/.test(weekday)
}

/** A length of time without rounding: `1 hour 40 minutes`. */
export function exactLength(ms: number): string {
  const parts: string[] = []
  let rest = ms
  for (const [unit, length] of UNITS) {
    const count = Math.floor(rest / length)
    rest -= count * length
    if (count > 0) parts.push(counted(count, unit))
  }
  return parts.join(' ') || '0 seconds'
}

const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1_000],
  ['millisecond', 1]
] as const
