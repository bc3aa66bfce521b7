import { inspect } from 'node:util'
import type { LogFields, Logger } from '../../src/logger.ts'
import { usualRedactor } from '../../src/redact/redactor.ts'
import { hideInText } from '../../src/redact/text.ts'
import { show } from '../../src/thrown.ts'
import type { Style } from '../context.ts'
import { harmless, oneLine } from '../terminal/sanitize.ts'
import { isForeignFrame } from './errors.ts'

/** The levels, the loudest first; `silent` logs nothing. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const

/** The ways in which a line can be written. */
export const LOG_FORMATS = ['pretty', 'json'] as const

export type LogLevel = (typeof LOG_LEVELS)[number]
export type LogFormat = (typeof LOG_FORMATS)[number]

/** What {@linkcode createLogger} takes. */
export interface LoggerOptions {
  readonly level: LogLevel
  readonly format: LogFormat
  readonly style: Style
  readonly write: (line: string) => void
}

/** A logger for a person at a terminal or a machine behind a pipe. */
export function createLogger({ level, format, style, write }: LoggerOptions): Logger {
  const least = LOG_LEVELS.indexOf(level)
  const line = (own: Exclude<LogLevel, 'silent'>): Logger['info'] => {
    if (LOG_LEVELS.indexOf(own) < least) return () => {}
    if (format === 'json') return (message, fields) => write(toJson(own, message, fields))
    return (message, fields) => write(toPretty(own, message, fields, { style, isDebugging: level === 'debug' }))
  }
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
}

function toJson(level: string, message: string, fields?: LogFields): string {
  const head = { time: new Date(), level, message: hideInText(message) }
  try {
    return usualRedactor.stringify({ ...head, ...fields, ...head }, plain) ?? ''
  } catch {
    // A field that refers back to itself, or whose own toJSON throws: no reason to lose the line.
    return JSON.stringify({ ...head, fields: show(fields) })
  }
}

function plain(_key: string, value: unknown): unknown {
  if (value instanceof Error) {
    const { name, message, stack, cause } = value
    return { ...value, name, message: hideInText(message), stack: stack && hideInText(stack), cause }
  }
  return typeof value === 'bigint' ? String(value) : value
}

/** The time, a sign, what it is about, and what happened: `14:03:07.120 ✓ SendEmail 12  57 ms`. */
function toPretty(
  level: string,
  message: string,
  fields: LogFields = {},
  { style, isDebugging }: { style: Style; isDebugging: boolean }
): string {
  const event = EVENTS.get(fields.event)
  const sign = SIGNS[event?.sign ?? level] ?? SIGNS.info!
  const subject = fields.task
    ? `${style('bold', oneLine(String(fields.task)))} ${style('dim', oneLine(String(fields.job)))}  `
    : ''
  const said = event ? event.say(fields) : `${hang(hideInText(message))}${style('dim', describeOwn(fields))}`
  // The engine says in its own lines what happened, over and over while the database is away.
  const isSaid = fields.error === undefined || (fields.event === 'engine' && !isDebugging)
  const error = isSaid ? '' : describeError(fields.error, isDebugging)
  const trouble = error && style('dim', `\n${INDENT}${hang(error)}`)
  return `${style('dim', clock(new Date()))} ${style(sign.format, sign.text)} ${subject}${said}${trouble}`
}

/** What the jobs' own events read like; every other line brings its words along. */
const EVENTS: ReadonlyMap<unknown, { sign: string; say: (fields: LogFields) => string }> = new Map([
  ['job.started', { sign: 'started', say: fields => `started${describeAttempt(fields)}` }],
  ['job.succeeded', { sign: 'succeeded', say: fields => `${describeDuration(fields)}${describeAttempt(fields)}` }],
  [
    'job.failed',
    {
      sign: 'error',
      say: fields =>
        `failed after ${describeDuration(fields)}, attempt ${fields.attempt} of ${fields.maxAttempts}` +
        (fields.isLast ? ', not tried again' : `, next in ${describeMs(Number(fields.delayMs))}`)
    }
  ],
  ['job.snoozed', { sign: 'snoozed', say: fields => `snoozed until ${describeTime(fields.runAt)}` }],
  ['job.cancelled', { sign: 'cancelled', say: fields => `cancelled after ${describeDuration(fields)}` }],
  [
    'job.released',
    { sign: 'warn', say: fields => `stopped after ${describeDuration(fields)}, another worker runs it again` }
  ]
] satisfies [string, { sign: string; say: (fields: LogFields) => string }][])

const SIGNS: Readonly<Record<string, { text: string; format: Parameters<Style>[0] }>> = {
  started: { text: '›', format: 'cyan' },
  succeeded: { text: '✓', format: 'green' },
  snoozed: { text: '…', format: 'blue' },
  cancelled: { text: '×', format: 'yellow' },
  debug: { text: '·', format: 'dim' },
  info: { text: '·', format: 'blue' },
  warn: { text: '!', format: 'yellow' },
  error: { text: '✗', format: 'red' }
}

/** The time of day where the reader is, to the millisecond. */
function clock(date: Date): string {
  const [hours, minutes, seconds] = [date.getHours(), date.getMinutes(), date.getSeconds()].map(part => pad(part, 2))
  return `${hours}:${minutes}:${seconds}.${pad(date.getMilliseconds(), 3)}`
}

function pad(number: number, width: number): string {
  return String(number).padStart(width, '0')
}

function describeAttempt({ attempt, maxAttempts }: LogFields): string {
  return Number(attempt) > 1 ? `, attempt ${attempt} of ${maxAttempts}` : ''
}

function describeDuration({ durationMs }: LogFields): string {
  return describeMs(Number(durationMs))
}

function describeTime(time: unknown): string {
  return time instanceof Date ? time.toISOString() : String(time)
}

/** `4.2 ms`, `57 ms`, `1.3 s`, `2 min 5 s`. */
export function describeMs(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`
  const seconds = Math.round(ms / 1_000)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

/** What a task has given its own lines beside their words. */
function describeOwn({ event, task: _task, job: _job, error: _error, ...own }: LogFields): string {
  if (event !== 'task.log') return ''
  const said = (value: unknown): string => (typeof value === 'string' ? value : inspect(value, SHORT))
  return Object.entries(usualRedactor.copy(own) as LogFields)
    .map(([name, value]) => `  ${oneLine(`${name}=${said(value)}`)}`)
    .join('')
}

/** With its stack, but for what tells the reader nothing: frames of Node, of the engine and of this program. */
function describeError(error: unknown, isComplete: boolean): string {
  const lines = hideInText(show(error)).split('\n')
  if (isComplete) return lines.join('\n')
  const kept: string[] = []
  for (const line of lines) {
    if (/^ +\w+: undefined,?$/.test(line)) continue
    if (!isForeignFrame(line)) kept.push(line)
    // The properties of the error follow its last frame, whoever's that is.
    else if (line.endsWith(' {')) kept.push(`${kept.pop()} {`)
  }
  return kept.join('\n')
}

function hang(text: string): string {
  return harmless(text).replaceAll('\n', `\n${INDENT}`)
}

const INDENT = '    '
const SHORT = { breakLength: Number.POSITIVE_INFINITY, depth: 1, compact: true, maxArrayLength: 5 }
