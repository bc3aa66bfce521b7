import type { Output, Style, Terminal } from '../context.ts'
import { mark, oneLine, printable } from './sanitize.ts'
import { widthOf } from './width.ts'

type Stream = NodeJS.WriteStream

/**
 * Writes to two streams, gathering what comes in one turn of the event loop into one write: a worker logs thousands of
 * lines a second. A reader who has gone away is no error.
 */
export function createOutput(stdout: Stream, stderr: Stream, env: NodeJS.ProcessEnv): Output {
  const results = createWriter(stdout)
  const notices = createWriter(stderr)
  const isTerminal = stderr.isTTY === true && env.TERM !== 'dumb'
  let status = ''
  return {
    style: styleFor(stdout, env),
    noticeStyle: styleFor(stderr, env),
    columns: stdout.isTTY ? stdout.columns || DEFAULT_WIDTH : undefined,
    terminal: stdout.isTTY && env.TERM !== 'dumb' ? terminalOf(stdout, results.write) : undefined,
    width: Math.min(stdout.columns || DEFAULT_WIDTH, MOST_WIDTH),
    line: text => results.write(`${printable(text)}\n`),
    notice: text => {
      notices.write(`${status && ERASE}${printable(text)}\n`)
      status = ''
    },
    status: text => {
      if (!isTerminal || text === status) return
      notices.write(`${ERASE}${text && UNWRAPPED[0]}${printable(text)}${text && UNWRAPPED[1]}`)
      status = text
    },
    flush: async () => void (await Promise.all([results.flush(), notices.flush()]))
  }
}

/** A name and a value a line, the values below one another and, given a width, broken at spaces to fit it. */
export function pairs(
  rows: readonly (readonly [string, string])[],
  style: Style,
  { indent = '', width = Number.POSITIVE_INFINITY }: { indent?: string; width?: number } = {}
): string {
  const lines = rows.map(([name, value]) => [oneLine(name), oneLine(value)] as const)
  const nameWidth = Math.max(...lines.map(([name]) => widthOf(name)))
  const hanging = `\n${' '.repeat(indent.length + nameWidth + 2)}`
  const room = Math.max(width - hanging.length, LEAST_ROOM)
  return lines
    .map(([name, value]) => {
      const padding = ' '.repeat(nameWidth - widthOf(name))
      return `${indent}${style('dim', `${name}${padding}`)}  ${wrap(value, room).join(hanging)}`
    })
    .join('\n')
}

/** Breaks a text at its spaces into lines of at most so many columns; a longer word has a line of its own. */
function wrap(text: string, room: number): string[] {
  if (room === Number.POSITIVE_INFINITY) return [text]
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const line = `${lines.at(-1)} ${word}`
    if (lines.length > 0 && widthOf(line) <= room) lines[lines.length - 1] = line
    else lines.push(word)
  }
  return lines
}

/** `NO_COLOR` and `FORCE_COLOR` decide before the terminal does. */
function styleFor(stream: Stream, env: NodeJS.ProcessEnv): Style {
  const isForced = env.FORCE_COLOR ? env.FORCE_COLOR !== '0' : undefined
  const isColoured = !env.NO_COLOR && (isForced ?? (stream.isTTY === true && env.TERM !== 'dumb'))
  return isColoured ? mark : (_format, text) => text
}

function terminalOf(stream: Stream, write: (text: string) => void): Terminal {
  return {
    get columns() {
      return stream.columns || DEFAULT_WIDTH
    },
    get rows() {
      return stream.rows || DEFAULT_HEIGHT
    },
    onResize(listener) {
      stream.on('resize', listener)
      return () => stream.off('resize', listener)
    },
    write
  }
}

interface Writer {
  write(text: string): void
  flush(): Promise<void>
}

function createWriter(stream: Stream): Writer {
  let gathered = ''
  let isClosed = false
  stream.on('error', () => {
    isClosed = true
  })
  const send = (): Promise<void> => {
    const text = gathered
    gathered = ''
    // Even nothing is written: it comes after what others have written to the stream.
    return isClosed ? Promise.resolve() : new Promise(resolve => stream.write(text, () => resolve()))
  }
  return {
    write(text) {
      if (gathered === '') setImmediate(() => gathered !== '' && send())
      gathered += text
    },
    flush: send
  }
}

/** Empties the line that the cursor is in. */
const ERASE = '\r\u001b[2K'
/** Between these, a terminal cuts off what is too long for a line: what has gone on to the next could not be erased. */
const UNWRAPPED = ['\u001b[?7l', '\u001b[?7h'] as const

const DEFAULT_WIDTH = 80
const DEFAULT_HEIGHT = 24
const MOST_WIDTH = 120
const LEAST_ROOM = 20
