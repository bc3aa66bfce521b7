import type { Output, Style, Terminal } from '../context.ts'
import { paint, printable } from './sanitize.ts'

type Stream = NodeJS.WriteStream

/**
 * Writes results and notices to two streams. A worker logs thousands of lines per second, so all lines of one turn of the
 * event loop leave in one write. A closed pipe is no error.
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
    json: value => results.write(`${printable(JSON.stringify(value))}\n`),
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

/** `NO_COLOR` and `FORCE_COLOR` take precedence over the terminal. */
function styleFor(stream: Stream, env: NodeJS.ProcessEnv): Style {
  const isForced = env.FORCE_COLOR ? env.FORCE_COLOR !== '0' : undefined
  const isColoured = !env.NO_COLOR && (isForced ?? (stream.isTTY === true && env.TERM !== 'dumb'))
  return isColoured ? paint : (_format, text) => text
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
    // An empty text is written, too: its callback comes after everything that was written to the stream before.
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

/** Erases the line of the cursor. */
const ERASE = '\r\u001b[2K'
/** Between these, a terminal cuts a line that is too long. A wrapped line could not be erased. */
const UNWRAPPED = ['\u001b[?7l', '\u001b[?7h'] as const

const DEFAULT_WIDTH = 80
const DEFAULT_HEIGHT = 24
const MOST_WIDTH = 120
