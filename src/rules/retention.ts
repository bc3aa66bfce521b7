import { type Duration, toMilliseconds } from '../duration.ts'

/** How long runs are kept: a length of time, `'forever'`, or `false` for not at all. */
export type Keep = Duration | 'forever' | false

/** How long a worker or a call of `prune` keeps runs, in milliseconds: `null` for ever, `false` not at all. */
export interface Retention {
  /** For runs that did not fail. */
  readonly successesMs: number | null | false
  /** For runs that failed. */
  readonly failuresMs: number | null | false
}

/**
 * Reads how long runs are kept from options.
 *
 * @throws {TypeError} if one is no duration
 * @throws {RangeError} if one is negative
 */
export function toRetention(
  { keepSuccesses = '7d', keepFailures = '30d' }: { readonly keepSuccesses?: Keep; readonly keepFailures?: Keep },
  doing: string
): Retention {
  return {
    successesMs: toKeptMs(keepSuccesses, doing, 'keepSuccesses'),
    failuresMs: toKeptMs(keepFailures, doing, 'keepFailures')
  }
}

/** Whether the runs of a day are older than they are kept. Runs go by whole days; today's and yesterday's stay. */
export function isTooOld(
  { day, isFailure }: { readonly day: number; readonly isFailure: boolean },
  { successesMs, failuresMs }: Retention,
  now: Date
): boolean {
  const keptMs = isFailure ? failuresMs : successesMs
  return keptMs !== null && day < Math.floor((now.getTime() - atLeastOneDay(keptMs)) / DAY_MS)
}

/** How long counters are kept, in milliseconds: as long as any run. `null` is for ever. */
export function countersKeptMs({ successesMs, failuresMs }: Retention): number | null {
  return successesMs === null || failuresMs === null ? null : atLeastOneDay(Math.max(successesMs || 0, failuresMs || 0))
}

/** The shortest retention of several workers. It applies to all, because each worker removes what is too old for itself. */
export function shortestOf(retentions: readonly Retention[]): Retention {
  return {
    successesMs: shortest(retentions.map(({ successesMs }) => successesMs)),
    failuresMs: shortest(retentions.map(({ failuresMs }) => failuresMs))
  }
}

function toKeptMs(keep: Keep, doing: string, name: string): number | null | false {
  if (keep === false) return false
  return keep === 'forever' ? null : toMilliseconds(keep, doing, name)
}

function shortest(times: readonly (number | null | false)[]): number | null {
  const finite = times.flatMap(ms => (ms === null ? [] : ms || 0))
  return finite.length === 0 ? null : Math.min(...finite)
}

function atLeastOneDay(keptMs: number | false): number {
  return Math.max(keptMs || 0, DAY_MS)
}

const DAY_MS = 86_400_000
