import { messageOf, readThrown, show } from './text/thrown.ts'

/** Fields of a log line, for machines to read. */
export type LogFields = Readonly<Record<string, unknown>>

/**
 * A logger. Any object with these four methods works, such as `console`. Its errors change nothing: kretes writes the
 * line again, with plain fields.
 *
 * @example Log to the console
 * ```ts
 * import { createBackground } from 'kretes'
 *
 * const background = createBackground({ logger: console })
 * await background.close()
 * ```
 */
export interface Logger {
  /** Details for the search for a fault. */
  debug(message: string, fields?: LogFields): void
  /** Normal operation. */
  info(message: string, fields?: LogFields): void
  /** A problem to look at some day. */
  warn(message: string, fields?: LogFields): void
  /** A problem to look at now. */
  error(message: string, fields?: LogFields): void
}

/** A logger that drops everything. It is the default: the library writes nothing unless it is given a logger. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} }

/**
 * Wraps a logger so that its errors, even asynchronous ones, change nothing. A line that it cannot write is written again
 * with plain fields, because a field, such as an error that a task threw, may be the cause.
 */
export function createSafeLogger(logger: Logger): Logger {
  const line = (level: keyof Logger) => (message: string, fields?: LogFields) => {
    attempt(
      () => logger[level](message, fields),
      () => attempt(() => logger[level](message, fields && toPlain(fields)))
    )
  }
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
}

/** A logger may be asynchronous, although its type does not say so. */
function attempt(write: () => unknown, otherwise: () => void = () => {}): void {
  try {
    const written = write()
    if (written instanceof Promise) written.catch(otherwise)
  } catch {
    otherwise()
  }
}

function toPlain(fields: LogFields): LogFields {
  try {
    return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, plain(value)]))
  } catch (error) {
    return { unreadable: messageOf(error) }
  }
}

function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const { name, message, stack } = readThrown(value, MOST_CHARACTERS)
  if (name === undefined) return show(value).slice(0, MOST_CHARACTERS)
  const error = new Error(message)
  const define = (key: string, text: string): unknown => Object.defineProperty(error, key, { value: text })
  define('name', name)
  define('stack', `${name}: ${message}${stack === undefined ? '' : `\n${stack}`}`)
  return error
}

const MOST_CHARACTERS = 8_192
