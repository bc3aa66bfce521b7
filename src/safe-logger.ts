import type { LogFields, Logger } from './logger.ts'
import { messageOf, readThrown, show } from './text/thrown.ts'

/**
 * The caller's logger, made safe: what it throws changes nothing, be it thrown late. A line that it cannot write is
 * offered once more in plain words, since what it logs (an error that a task threw) may be what it failed at.
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

/** A logger may be asynchronous, though its type does not say so. */
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
