import type { Format, Style } from '../context.ts'
import { oneLine, sanitize } from '../terminal/sanitize.ts'

/** A line of a task's log, as the ledger stores it. */
export interface LogEntry {
  readonly at?: string
  readonly level?: string
  readonly message?: string
  readonly fields?: Readonly<Record<string, unknown>>
}

/** Reads the log of a run. */
export function toEntries(log: unknown): LogEntry[] {
  if (!Array.isArray(log)) return []
  return log.map(entry => (typeof entry === 'object' && entry !== null ? entry : { message: String(entry) }))
}

/** Formats a line: time, level, message and fields. */
export function logLine({ at, level, message, fields }: LogEntry, style: Style): string {
  const parts = [
    ...(at === undefined ? [] : [style('dim', oneLine(at))]),
    ...(level === undefined ? [] : [style(FORMATS[level] ?? 'blue', oneLine(level).padEnd(5))]),
    sanitize(message ?? '').replaceAll('\n', '\n    '),
    ...Object.entries(fields ?? {}).map(([name, value]) => style('dim', oneLine(`${name}=${show(value)}`)))
  ]
  return parts.join(' ')
}

function show(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

const FORMATS: Readonly<Record<string, Format>> = {
  debug: 'dim',
  info: 'blue',
  warn: 'yellow',
  error: 'red'
}
