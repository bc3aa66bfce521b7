import { inspect } from 'node:util'
import type { LogFields, Logger } from '../../src/logger.ts'
import { usualRedactor } from '../../src/redact/redactor.ts'
import { hideInText } from '../../src/redact/text.ts'
import { show } from '../../src/text/thrown.ts'
import { type Format, LOG_LEVELS, type LogLevel, type Style } from '../context.ts'
import { oneLine, sanitize } from '../terminal/sanitize.ts'
import { isForeignFrame } from './errors.ts'
import { shortLength } from './times.ts'

/** The formats of a log line. */
export const LOG_FORMATS = ['pretty', 'json'] as const

export type LogFormat = (typeof LOG_FORMATS)[number]

/** The options of {@linkcode createLogger}. */
export interface LoggerOptions {
  readonly level: LogLevel
  readonly format: LogFormat
  readonly style: Style
  readonly write: (line: string) => void
}

/** The logger of the worker: `pretty` for people, `json` for programs. */
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
    // A circular field, or one whose toJSON throws, must not lose the line.
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

/** Time, sign, task, job and event: `14:03:07.120 ✓ SendEmail 12  57 ms`. */
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
  // The message of an engine event names the error already, and repeats while the database is away.
  const isSaid = fields.error === undefined || (fields.event === 'engine' && !isDebugging)
  const error = isSaid ? '' : describeError(fields.error, isDebugging)
  const trouble = error && style('dim', `\n${INDENT}${hang(error)}`)
  return `${style('dim', clock(new Date()))} ${style(sign.format, sign.text)} ${subject}${said}${trouble}`
}

interface Event {
  readonly sign: string
  readonly say: (fields: LogFields) => string
}

/** The text of the events of jobs. Other lines show their message. */
const EVENTS: ReadonlyMap<unknown, Event> = new Map<unknown, Event>([
  ['job.started', { sign: 'started', say: fields => `started${describeAttempt(fields)}` }],
  ['job.succeeded', { sign: 'succeeded', say: fields => `${took(fields)}${describeAttempt(fields)}` }],
  ['job.failed', { sign: 'error', say: describeFailure }],
  ['job.snoozed', { sign: 'snoozed', say: describeSnooze }],
  ['job.cancelled', { sign: 'cancelled', say: fields => `cancelled after ${took(fields)}` }],
  ['job.released', { sign: 'warn', say: fields => `stopped after ${took(fields)}, another worker runs it again` }]
])

const SIGNS: Readonly<Record<string, { text: string; format: Format }>> = {
  started: { text: '›', format: 'cyan' },
  succeeded: { text: '✓', format: 'green' },
  snoozed: { text: '…', format: 'blue' },
  cancelled: { text: '×', format: 'yellow' },
  debug: { text: '·', format: 'dim' },
  info: { text: '·', format: 'blue' },
  warn: { text: '!', format: 'yellow' },
  error: { text: '✗', format: 'red' }
}

/** The local time of day, to the millisecond. */
function clock(date: Date): string {
  const [hours, minutes, seconds] = [date.getHours(), date.getMinutes(), date.getSeconds()].map(part => pad(part, 2))
  return `${hours}:${minutes}:${seconds}.${pad(date.getMilliseconds(), 3)}`
}

function pad(number: number, width: number): string {
  return String(number).padStart(width, '0')
}

function took({ durationMs }: LogFields): string {
  return shortLength(Number(durationMs))
}

function describeSnooze({ limit, runAt, delayMs }: LogFields): string {
  const until = runAt === undefined ? `for ${shortLength(Number(delayMs))}` : `until ${describeTime(runAt)}`
  return `${limit === undefined ? 'snoozed' : 'rate limited'} ${until}`
}

function describeFailure(fields: LogFields): string {
  const { attempt, maxAttempts, isLast, delayMs } = fields
  const next = isLast ? 'not tried again' : `next in ${shortLength(Number(delayMs))}`
  return `failed after ${took(fields)}, attempt ${attempt} of ${maxAttempts}, ${next}`
}

function describeAttempt({ attempt, maxAttempts }: LogFields): string {
  return Number(attempt) > 1 ? `, attempt ${attempt} of ${maxAttempts}` : ''
}

function describeTime(time: unknown): string {
  return time instanceof Date ? time.toISOString() : String(time)
}

/** The fields that a task has added to its own log line. */
function describeOwn({ event, task: _task, job: _job, error: _error, ...own }: LogFields): string {
  if (event !== 'task.log') return ''
  const said = (value: unknown): string => (typeof value === 'string' ? value : inspect(value, SHORT))
  return Object.entries(usualRedactor.copy(own) as LogFields)
    .map(([name, value]) => `  ${oneLine(`${name}=${said(value)}`)}`)
    .join('')
}

/** An error with its stack, without the frames of Node, of the engine and of kretes. */
function describeError(error: unknown, isComplete: boolean): string {
  const lines = hideInText(show(error)).split('\n')
  if (isComplete) return lines.join('\n')
  const kept: string[] = []
  for (const line of lines) {
    if (/^ +\w+: undefined,?$/.test(line)) continue
    if (!isForeignFrame(line)) kept.push(line)
    // The properties of the error follow its last frame, which may be a foreign one.
    else if (line.endsWith(' {')) kept.push(`${kept.pop()} {`)
  }
  return kept.join('\n')
}

function hang(text: string): string {
  return sanitize(text).replaceAll('\n', `\n${INDENT}`)
}

const INDENT = '    '
const SHORT = { breakLength: Number.POSITIVE_INFINITY, depth: 1, compact: true, maxArrayLength: 5 }
