import type { LogFields, Logger } from '../../logger.ts'
import { type Redactor, usualRedactor } from '../../redact/redactor.ts'
import { hideInText } from '../../redact/text.ts'
import { messageOf, show } from '../../text/thrown.ts'
import { readable } from './result.ts'

/** The progress that a run reports and the lines that it logs. */
export interface Notes {
  /** Increases with each change. */
  readonly version: number
  /** From 0 to 1, or `null` if none was reported. */
  readonly progress: number | null
  /** The message of the last progress report that had one, or `null`. */
  readonly message: string | null
  /** The newest lines as a JSON array, or `null` if there are none. */
  readonly log: string | null
  report(progress: number, message: string | undefined): void
  add(level: keyof Logger, message: string, fields: LogFields | undefined): void
}

/** Creates notes. Lines are serialized at once, since the objects in them may change later. */
export function createNotes(redactor: Redactor = usualRedactor): Notes {
  let version = 0
  let progress: number | null = null
  let message: string | null = null
  let lines: string[] = []
  let size = 0
  let dropped = 0

  function keep(line: string): void {
    lines.push(line)
    size += line.length
    let first = 0
    while (lines.length - first > MAX_LINES || size > MAX_SIZE) size -= lines[first++]?.length ?? 0
    if (first > 0) lines = lines.slice(first)
    dropped += first
  }

  return {
    get version() {
      return version
    },
    get progress() {
      return progress
    },
    get message() {
      return message
    },
    get log() {
      if (lines.length === 0) return null
      const first = dropped > 0 ? [`{"level":"warn","message":"${describeDropped(dropped)}","dropped":${dropped}}`] : []
      return `[${[...first, ...lines].join(',')}]`
    },
    report(share, text) {
      version++
      progress = Math.round(share * MILLION) / MILLION
      if (text !== undefined) message = toText(text, MAX_MESSAGE)
    },
    add(level, text, fields) {
      version++
      keep(toLine(level, text, fields, redactor))
    }
  }
}

function describeDropped(count: number): string {
  return count === 1 ? '1 earlier line was dropped' : `${count} earlier lines were dropped`
}

function toLine(level: keyof Logger, text: string, fields: LogFields | undefined, redactor: Redactor): string {
  const line = { at: new Date().toISOString(), level, message: toText(text, MAX_MESSAGE) }
  const details = fields && toDetails(fields, redactor)
  const json = JSON.stringify(line)
  return details ? `${json.slice(0, -1)},"fields":${details}}` : json
}

/** Fields that JSON cannot hold must not fail the job that logs them. */
function toDetails(fields: LogFields, redactor: Redactor): string | undefined {
  try {
    const json = redactor.stringify(fields, toPlain)
    if (json === undefined || json.length <= MAX_MESSAGE) return json && readable(json)
    return JSON.stringify({ truncated: toText(json, MAX_MESSAGE / 2) })
  } catch (error) {
    return JSON.stringify({ unreadable: toText(messageOf(error), MAX_MESSAGE) })
  }
}

/** Converts values that JSON refuses or shows as an empty object. */
function toPlain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Map) return Object.fromEntries(value)
  if (value instanceof Set) return [...value]
  return value instanceof Error ? hideInText(`${value.name}: ${value.message}`) : value
}

function toText(value: unknown, most: number): string {
  const text = show(value)
  const short = text.length > most ? `${text.slice(0, most - 1)}…` : text
  return hideInText(short).replaceAll('\0', '\uFFFD').toWellFormed()
}

/** Progress is rounded to millionths: PostgreSQL refuses numbers very close to 0. */
const MILLION = 1_000_000

const MAX_LINES = 200

/** Of all lines together, in characters. */
const MAX_SIZE = 16_384

/** In characters. */
const MAX_MESSAGE = 2_000
