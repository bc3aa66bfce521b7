import type { RunError } from '../../src/run.ts'
import { sanitize } from '../terminal/sanitize.ts'

/** An error and all its causes, with the stack frames outside of kretes and Node. */
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

/** The lines of an error that was stored as text, without foreign stack frames. */
export function frameLines(text: string): string[] {
  return sanitize(text)
    .split('\n')
    .filter(line => line.trim() !== '' && !isForeignFrame(line))
    .map(line => `    ${line.trim()}`)
}

/** Whether a line of a stack belongs to Node, to the engine or to kretes. */
export function isForeignFrame(line: string): boolean {
  return /^ *at /.test(line) ? FOREIGN.some(place => line.includes(place)) : OMITTED.test(line)
}

function hang(text: string): string {
  return sanitize(text).replaceAll('\n', '\n    ')
}

const FOREIGN = [
  // This installation, and that of a worker on another machine.
  import.meta.url.slice(0, import.meta.url.lastIndexOf('/') + 1),
  '/node_modules/kretes/',
  '/graphile-worker/',
  '(node:internal/',
  ' node:internal/',
  'new Promise (<anonymous>)'
]
// Node writes this in place of the frames that an error shares with its cause.
const OMITTED = /^ +\.\.\. \d+ lines matching cause stack trace \.\.\./
