/** Details of a log line, for machines. */
export type LogFields = Readonly<Record<string, unknown>>

/**
 * Where kretes writes its log. Any object with these four methods will do, `console` among them. An error that it throws
 * changes nothing; it gets the line once more, in plain words.
 *
 * @example Log to the console
 * ```ts
 * import { createBackground } from 'kretes'
 *
 * await using background = createBackground({ logger: console })
 * ```
 */
export interface Logger {
  /** What only somebody who looks for a fault wants to read. */
  debug(message: string, fields?: LogFields): void
  /** What happens in the normal course. */
  info(message: string, fields?: LogFields): void
  /** What somebody should look at some day. */
  warn(message: string, fields?: LogFields): void
  /** What somebody should look at now. */
  error(message: string, fields?: LogFields): void
}

/** A logger that drops everything; the default of the library, which writes nothing unasked. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} }
