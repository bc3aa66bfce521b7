import type { RunError } from '../../src/inspect.ts'
import { type ErrorSummary, summarize, summarizeText } from '../../src/summary.ts'
import { harmless, oneLine } from '../terminal/sanitize.ts'
import type { Cell } from '../terminal/table.ts'
import { cut } from '../terminal/width.ts'

/** An error in a cell: what went wrong, and what lies deepest behind it. */
export function errorCell(error: RunError | string): Cell {
  const { first, deepest }: ErrorSummary = typeof error === 'string' ? summarizeText(error) : summarize(error)
  return { text: inShort(first), ...(deepest !== undefined && { tail: ` ← ${inShort(deepest)}` }) }
}

/** As much of a text as a list has use for, be it a payload of a megabyte. */
export function inShort(text: string): string {
  return cut(oneLine(text.slice(0, MOST_COLUMNS * 4)), MOST_COLUMNS)
}

/** An error and all errors behind it, with the places in the code of others than kretes and Node. */
export function errorLines(error: RunError, prefix = ''): string[] {
  const { name, message = '', stack = '' } = error
  const { cause, errors = [] } = error as { cause?: RunError; errors?: readonly RunError[] }
  return [
    `${prefix}${hang([name, message].filter(Boolean).join(': '))}`,
    ...frameLines(stack),
    ...(cause ? errorLines(cause, 'caused by ') : []),
    ...errors.flatMap(one => errorLines(one, 'one of them: '))
  ]
}

/** The lines of an error that was kept as text, without those that tell a reader nothing. */
export function frameLines(text: string): string[] {
  return harmless(text)
    .split('\n')
    .filter(line => line.trim() !== '' && !isForeignFrame(line))
    .map(line => `    ${line.trim()}`)
}

/** Whether a line of a stack is of Node, of the engine or of kretes. */
export function isForeignFrame(line: string): boolean {
  return /^ *at /.test(line) ? FOREIGN.some(place => line.includes(place)) : OMITTED.test(line)
}

function hang(text: string): string {
  return harmless(text).replaceAll('\n', '\n    ')
}

const MOST_COLUMNS = 160
const FOREIGN = [
  // Here, and where a worker on another machine may have it.
  import.meta.url.slice(0, import.meta.url.lastIndexOf('/') + 1),
  '/node_modules/kretes/',
  '/graphile-worker/',
  '(node:internal/',
  ' node:internal/',
  'new Promise (<anonymous>)'
]
// What Node writes in place of frames that a cause has as well.
const OMITTED = /^ +\.\.\. \d+ lines matching cause stack trace \.\.\./
