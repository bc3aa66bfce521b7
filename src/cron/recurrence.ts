import type { Names } from '../check/options.ts'
import { toInstant } from '../check/times.ts'
import { type Duration, toMilliseconds } from '../duration.ts'
import { describe } from '../text/describe.ts'
import { compileCron } from './expression.ts'
import { nextOccurrence } from './occurrences.ts'
import type { Recurring, Rule } from './rule.ts'
import { checkTimeZone } from './zone.ts'

/**
 * When the occurrences of a recurring job come, and what happens to those that cannot run as planned. Give `cron` or
 * `every`.
 */
export interface Recurrence {
  /**
   * A cron expression: minute, hour, day of the month, month and day of the week, or six fields with seconds first, or
   * `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. If both the day of the month and the day of the week are
   * restricted, a day that matches either of them is enough.
   *
   * When clocks change, a fixed local time that they skip runs at the end of the gap, and one that they show twice runs
   * the first time. An expression with a wildcard or a step in its seconds, minutes or hours follows real time instead.
   *
   * @default none: `every` is given
   */
  cron?: string
  /**
   * The interval between two occurrences, in real time: milliseconds, `'15m'`, `{ hours: 6 }`. At least one second. The
   * first occurrence comes after one interval, or at `start`. Setting the same times again does not move the occurrences.
   *
   * @default none: `cron` is given
   */
  every?: Duration
  /**
   * The time zone of `cron`, by its name in the IANA database, such as `'Europe/Berlin'`. It is refused with `every`.
   *
   * @default 'UTC'
   */
  timeZone?: string
  /**
   * What to do about occurrences that were missed, usually because no worker was running. Those that are due count as
   * missed if the oldest of them is more than a minute late. `'once'` schedules one job, for the latest occurrence.
   * `'skip'` schedules none. `{ all: n }` schedules one for each of the latest `n`, from 1 to 1,000.
   *
   * @default 'once'
   */
  missed?: 'once' | 'skip' | { readonly all: number }
  /**
   * What to do about an occurrence while the job of an earlier one waits, runs or will be retried. `'skip'` schedules no
   * job. Of several occurrences that are due at the same time, it then schedules only the latest. `'queue'` runs the jobs
   * one after another, on a queue of their own unless `queue` names one. `'allow'` lets them run at the same time.
   *
   * @default 'skip'; with `missed: { all: n }` it is 'queue'
   */
  overlap?: 'skip' | 'queue' | 'allow'
  /**
   * The longest random delay of a job: milliseconds, `'5m'`, `{ minutes: 5 }`. Use it if many recurring jobs are due at
   * the same moment. The job's `occurrence` stays the exact time.
   *
   * @default 0
   */
  jitter?: Duration
  /**
   * The first moment at which an occurrence may come: a `Date`, or text with a time zone such as
   * `'2030-01-31T08:00:00Z'`. The occurrences of `every` are counted from it.
   *
   * @default now
   */
  start?: Date | string
  /**
   * The last moment at which an occurrence may come, as `start`.
   *
   * @default none
   */
  end?: Date | string
}

/** The names of the {@linkcode Recurrence}, for checks. */
export const RECURRENCE: Names<Recurrence> = {
  cron: true,
  every: true,
  timeZone: true,
  missed: true,
  overlap: true,
  jitter: true,
  start: true,
  end: true
}

/**
 * Reads when a job recurs.
 *
 * @throws {TypeError} if an option has the wrong type, or options contradict each other
 * @throws {RangeError} if an option is out of range, or no occurrence ever comes
 */
export function readRecurrence(options: Recurrence, doing: string): Recurring {
  const { cron, every, timeZone = 'UTC', jitter = 0 } = options
  if (cron === undefined && every === undefined) throw new TypeError(`Cannot ${doing}: neither cron nor every is given`)
  if (cron !== undefined && every !== undefined) throw new TypeError(`Cannot ${doing}: both cron and every are given`)
  if (cron !== undefined && typeof cron !== 'string') {
    throw new TypeError(`Cannot ${doing}: cron is ${describe(cron)}, not a string`)
  }
  checkTimeZone(timeZone, doing)
  if (every !== undefined && options.timeZone !== undefined) {
    throw new TypeError(`Cannot ${doing}: timeZone is given with every, which is the same in all zones. Leave it out`)
  }
  if (cron !== undefined) compileCron(cron, timeZone, doing)
  const rule: Rule = {
    cron: cron?.trim().replaceAll(/\s+/g, ' ') ?? null,
    everyMs: every === undefined ? null : toInterval(every, doing),
    timeZone,
    startMs: toMoment(options.start, doing, 'start'),
    endMs: toMoment(options.end, doing, 'end')
  }
  checkPeriod(rule, doing)
  return { ...rule, ...toPolicy(options, doing), jitterMs: toMilliseconds(jitter, doing, 'jitter') }
}

function toInterval(every: Duration, doing: string): number {
  const ms = toMilliseconds(every, doing, 'every')
  if (ms >= 1_000) return ms
  throw new RangeError(`Cannot ${doing}: every is ${ms} ms, less than a second`)
}

function toMoment(given: Date | string | undefined, doing: string, name: string): number | null {
  return given === undefined ? null : Date.parse(toInstant(given, doing, name))
}

function checkPeriod(rule: Rule, doing: string): void {
  const { startMs, endMs } = rule
  if (endMs === null) return
  const until = new Date(endMs).toISOString()
  if (startMs !== null && endMs < startMs) {
    throw new RangeError(`Cannot ${doing}: end is ${until}, before start, ${new Date(startMs).toISOString()}`)
  }
  // Whether it lies in the past, only the clock of the database knows.
  if (nextOccurrence(rule, (startMs ?? 0) - 1) === null) {
    throw new RangeError(`Cannot ${doing}: no occurrence comes between start and end, ${until}`)
  }
}

function toPolicy({ missed = 'once', overlap }: Recurrence, doing: string): Pick<Recurring, 'mostMissed' | 'overlap'> {
  const mostMissed = toMostMissed(missed, doing)
  const isForAll = typeof missed === 'object'
  const chosen = overlap === undefined ? (isForAll ? 'queue' : 'skip') : overlap
  if (!OVERLAPS.includes(chosen)) {
    throw new TypeError(`Cannot ${doing}: overlap is ${describe(overlap)}, none of ${OVERLAPS.join(', ')}`)
  }
  if (isForAll && chosen === 'skip') {
    throw new TypeError(
      `Cannot ${doing}: overlap is "skip", which leaves only one of all missed occurrences. Give "queue" or "allow"`
    )
  }
  return { mostMissed, overlap: chosen }
}

function toMostMissed(missed: unknown, doing: string): number {
  if (missed === 'once') return 1
  if (missed === 'skip') return 0
  const { all, ...others } = (typeof missed === 'object' && missed !== null ? missed : {}) as { all?: unknown }
  if (all === undefined || Object.keys(others).length > 0) {
    throw new TypeError(`Cannot ${doing}: missed is ${describe(missed)}, none of "once", "skip", { all: n }`)
  }
  if (typeof all === 'number' && Number.isInteger(all) && all >= 1 && all <= MOST_MISSED) return all
  throw new RangeError(`Cannot ${doing}: missed.all is ${describe(all)}, not a whole number from 1 to 1,000`)
}

const OVERLAPS: readonly Recurring['overlap'][] = ['skip', 'queue', 'allow']

/** A recurring job schedules at most so many jobs for missed occurrences. */
const MOST_MISSED = 1_000
