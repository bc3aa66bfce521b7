import type { JobState, RunState } from '../../src/inspect.ts'
import type { Style } from '../context.ts'
import type { Cell } from '../terminal/table.ts'

/** A state in its colour. */
export function stateCell(state: JobState | RunState): Cell {
  return { text: state, format: FORMATS[state] }
}

/** How a state is set off. */
export const FORMATS: Readonly<Record<JobState | RunState | 'gone', Parameters<Style>[0]>> = {
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
