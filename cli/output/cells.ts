import type { JobState, RunState } from '../../src/rules/states.ts'
import type { Run, RunError } from '../../src/run.ts'
import { summarize, summarizeText } from '../../src/text/summary.ts'
import type { Format } from '../context.ts'
import { oneLine } from '../terminal/sanitize.ts'
import type { Cell } from '../terminal/table.ts'
import { cut } from '../terminal/width.ts'

/** A state in its colour. */
export function stateCell(state: JobState | RunState): Cell {
  return { text: state, format: FORMATS[state] }
}

/** The error or the result of a run. */
export function endCell({ error, result }: Run): Cell {
  if (error) return errorCell(error)
  return result === null ? '' : inShort(JSON.stringify(result))
}

/** An error in a cell: its message, and the message of its deepest cause. */
export function errorCell(error: RunError | string): Cell {
  const { first, deepest } = typeof error === 'string' ? summarizeText(error) : summarize(error)
  return { text: inShort(first), ...(deepest !== undefined && { tail: ` ← ${inShort(deepest)}` }) }
}

/** The start of a text, short enough for a list. A payload may have a megabyte. */
export function inShort(text: string): string {
  return cut(oneLine(text.slice(0, MOST_COLUMNS * 4)), MOST_COLUMNS)
}

/** The colour of each state. */
export const FORMATS: Readonly<Record<JobState | RunState | 'gone', Format>> = {
  waiting: 'blue',
  scheduled: 'dim',
  running: 'cyan',
  retrying: 'yellow',
  failed: 'red',
  succeeded: 'green',
  'timed out': 'red',
  cancelled: 'yellow',
  snoozed: 'blue',
  released: 'yellow',
  lost: 'red',
  gone: 'dim'
}

const MOST_COLUMNS = 160
