import { nextOccurrence } from '../../src/cron/occurrences.ts'
import { previewOccurrences } from '../../src/cron/preview.ts'
import type { Recurring, Rule } from '../../src/cron/rule.ts'

/** A rule; what is left out is as if nothing was given. */
export function ruleOf(given: Partial<Rule>): Rule {
  return { cron: null, everyMs: null, timeZone: 'UTC', startMs: null, endMs: null, ...given }
}

/** A rule with its policies. */
export function recurringOf(given: Partial<Recurring>): Recurring {
  return { ...ruleOf(given), mostMissed: 1, overlap: 'skip', jitterMs: 0, ...given }
}

/** The occurrences after a moment as a person writes them down: local time, offset, and the mark of a change. */
export function occurrencesOf(rule: Rule, after: string, count: number): string[] {
  return previewOccurrences(rule, Date.parse(after), null, count).map(
    ({ local, clockChange }) => `${local}${clockChange ? ` ${clockChange}` : ''}`
  )
}

/** The occurrences after a moment and up to another, at most so many. */
export function between(rule: Rule, afterMs: number, untilMs: number, most: number): number[] {
  const found: number[] = []
  for (
    let at = nextOccurrence(rule, afterMs);
    at !== null && at <= untilMs && found.length < most;
    at = nextOccurrence(rule, at, at)
  ) {
    found.push(at)
  }
  return found
}
