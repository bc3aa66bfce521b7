import type { Style } from '../context.ts'
import { harmless, oneLine } from '../terminal/sanitize.ts'

/** A line that a task has logged, as the ledger keeps it. */
export interface LogEntry {
  readonly at?: string
  readonly level?: string
  readonly message?: string
  readonly fields?: Readonly<Record<string, unknown>>
}

/** The lines of a run's log. */
export function toEntries(log: unknown): LogEntry[] {
  if (!Array.isArray(log)) return []
  return log.map(entry => (typeof entry === 'object' && entry !== null ? entry : { message: String(entry) }))
}

/** A line as it is shown: time, level, words and fields. */
export function logLine({ at, level, message, fields }: LogEntry, style: Style): string {
  const parts = [
    ...(at === undefined ? [] : [style('dim', oneLine(at))]),
    ...(level === undefined ? [] : [style(FORMATS[level] ?? 'blue', oneLine(level).padEnd(5))]),
    harmless(message ?? '').replaceAll('\n', '\n    '),
    ...Object.entries(fields ?? {}).map(([name, value]) => style('dim', oneLine(`${name}=${show(value)}`)))
  ]
  return parts.join(' ')
}

function show(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

const FORMATS: Readonly<Record<string, Parameters<Style>[0]>> = {
  debug: 'dim',
  info: 'blue',
  warn: 'yellow',
  error: 'red'
}
