import { compileCron } from './expression.ts'
import type { Recurring, Rule } from './rule.ts'

/**
 * The first occurrence after a moment, in milliseconds since 1970; `null` if none comes any more.
 *
 * @param anchorMs an occurrence from which those of an interval are counted; without it, they are counted from `start`,
 * or one interval after the moment
 */
export function nextOccurrence(rule: Rule, afterMs: number, anchorMs: number | null = null): number | null {
  const { cron, everyMs, startMs, endMs } = rule
  const fromMs = startMs === null ? afterMs : Math.max(afterMs, startMs - 1)
  const next =
    everyMs === null
      ? nextOfCron(cron ?? '', rule.timeZone, fromMs)
      : nextOfInterval(everyMs, fromMs, anchorMs ?? startMs)
  return next === null || (endMs !== null && next > endMs) ? null : next
}

/** Why an occurrence scheduled no job. */
export type SkipReason = 'missed' | 'overlap'

/** Occurrences that are due, and the one after them. */
export interface Due {
  /** Those to schedule, in order. */
  readonly occurrences: readonly number[]
  /** Why earlier ones are left out; `null` if none is. */
  readonly leftOut: SkipReason | null
  readonly nextMs: number | null
}

/**
 * Decides which of the occurrences from `firstMs` up to now are scheduled. They count as missed if the first is more
 * than a minute late.
 */
export function dueOccurrences(recurring: Recurring, firstMs: number, nowMs: number): Due {
  const nextMs = nextOccurrence(recurring, nowMs, firstMs)
  const isLate = nowMs - firstMs > GRACE_MS
  const most = isLate ? recurring.mostMissed : recurring.overlap === 'skip' ? 1 : Number.POSITIVE_INFINITY
  const occurrences = most === 0 ? [] : latestOccurrences(recurring, firstMs, nowMs, most)
  const leftOut = occurrences[0] === firstMs ? null : isLate ? 'missed' : 'overlap'
  return { occurrences, leftOut, nextMs }
}

/** How late an occurrence may be without counting as missed: workers restart, and databases fail over. */
const GRACE_MS = 60_000

/**
 * The latest occurrences up to now, at most so many. It looks back from now in growing steps, since two weeks of an
 * occurrence each second are too many to count.
 */
function latestOccurrences(rule: Rule, firstMs: number, nowMs: number, most: number): number[] {
  for (let backMs = GRACE_MS; ; backMs *= 4) {
    const fromMs = Math.max(firstMs, nowMs - backMs)
    const found: number[] = []
    for (
      let at: number | null = fromMs === firstMs ? firstMs : nextOccurrence(rule, fromMs - 1, firstMs);
      at !== null && at <= nowMs;
      at = nextOccurrence(rule, at, firstMs)
    ) {
      found.push(at)
    }
    if (fromMs === firstMs || found.length >= most) return most < found.length ? found.slice(-most) : found
  }
}

function nextOfInterval(everyMs: number, afterMs: number, anchorMs: number | null): number {
  if (anchorMs === null) return afterMs + everyMs
  if (anchorMs > afterMs) return anchorMs - Math.floor((anchorMs - afterMs - 1) / everyMs) * everyMs
  return anchorMs + (Math.floor((afterMs - anchorMs) / everyMs) + 1) * everyMs
}

/** Many entries share an expression and are due at the same time, so the last answer for each is kept. */
function nextOfCron(cron: string, timeZone: string, afterMs: number): number | null {
  const key = `${timeZone} ${cron}`
  const last = answers.get(key)
  if (last && last.afterMs <= afterMs && (last.nextMs === null || afterMs < last.nextMs)) return last.nextMs
  const nextMs = compileCron(cron, timeZone, 'compute an occurrence')(afterMs)
  if (answers.size >= MOST_ANSWERS) answers.clear()
  answers.set(key, { afterMs, nextMs })
  return nextMs
}

const answers = new Map<string, { readonly afterMs: number; readonly nextMs: number | null }>()
const MOST_ANSWERS = 2_000
