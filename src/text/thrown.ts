import { inspect } from 'node:util'
import { type Redactor, usualRedactor } from '../redact/redactor.ts'
import { hideInText } from '../redact/text.ts'

/** A thrown value, as plain text. */
export interface Thrown {
  /** The name, if it is an error. */
  readonly name?: string
  readonly message: string
  /** The lines of the stack below the message. */
  readonly stack?: string
  readonly cause?: Thrown
  readonly errors?: readonly Thrown[]
}

/**
 * Reads a thrown value, without secrets. A task can throw anything: an error whose message throws when it is read, a
 * revoked proxy, an endless chain of causes. Reading never throws, so that no job is lost for such a value.
 *
 * @param most the most characters of all texts together
 */
export function readThrown(error: unknown, most: number, redactor: Redactor = usualRedactor): Thrown {
  return readOne(error, { errors: MOST_ERRORS, characters: most, redactor }, new Set())
}

/** Writes a thrown value in one line. */
export function messageOf(error: unknown): string {
  const { name, message } = readThrown(error, MOST_IN_A_LINE)
  return name === undefined ? message : `${name}: ${message}`
}

/** Writes any value as text, without secrets. It never throws. */
export function show(value: unknown, redactor: Redactor = usualRedactor): string {
  if (typeof value === 'string') return value
  for (const options of [{}, { customInspect: false }]) {
    try {
      return inspect(redactor.copy(value), options)
    } catch {
      // The value's own inspection throws; the next try does without it.
    }
  }
  try {
    // Of a value that cannot be copied, only the type is shown.
    return inspect(value, { customInspect: false, depth: -1 })
  } catch {
    return `a value of type ${typeof value} that cannot be read`
  }
}

/** Copies fields. A value that cannot be read is replaced by the reason. */
export function copyFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  try {
    return { ...fields }
  } catch {
    return copyOneByOne(fields)
  }
}

function copyOneByOne(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const copy: Record<string, unknown> = {}
  try {
    for (const key of Object.keys(fields)) {
      try {
        copy[key] = fields[key]
      } catch (error) {
        copy[key] = `cannot be read: ${messageOf(error)}`
      }
    }
  } catch (error) {
    copy.unreadable = messageOf(error)
  }
  return copy
}

interface Room {
  errors: number
  characters: number
  readonly redactor: Redactor
}

function readOne(error: unknown, room: Room, told: Set<unknown>): Thrown {
  told.add(error)
  room.errors--
  const take = (text: string): string => {
    const short = text.length > room.characters ? `${text.slice(0, Math.max(0, room.characters - 1))}…` : text
    room.characters -= short.length
    // PostgreSQL holds neither NUL nor half a character.
    return hideInText(short).replaceAll('\0', '\uFFFD').toWellFormed()
  }
  const [name, message] = [read(error, 'name'), read(error, 'message')]
  // Errors of another realm are not instances of this realm's Error.
  const isReadable = typeof name === 'string' || typeof message === 'string'
  const isError = isReadable && [name, message].every(part => typeof part === 'string' || part === UNREADABLE)
  if (!isError) return { message: take(show(error, room.redactor)) }
  const thrown: { -readonly [Key in keyof Thrown]: Thrown[Key] } = {
    name: take(typeof name === 'string' ? name : 'Error'),
    message: take(typeof message === 'string' ? message : 'its message cannot be read')
  }
  const frames = framesOf(read(error, 'stack'), message)
  if (frames !== undefined) thrown.stack = take(frames)
  const isNew = (other: unknown): boolean => room.errors > 0 && room.characters > 0 && !told.has(other)
  const cause = read(error, 'cause')
  if (cause !== undefined && isNew(cause)) {
    thrown.cause = cause === UNREADABLE ? { message: take('its cause cannot be read') } : readOne(cause, room, told)
  }
  const errors: Thrown[] = []
  for (const one of listOf(read(error, 'errors'))) if (isNew(one)) errors.push(readOne(one, room, told))
  if (errors.length > 0) thrown.errors = errors
  return thrown
}

function read(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  try {
    return (value as Record<string, unknown>)[key]
  } catch {
    return UNREADABLE
  }
}

/** A stack begins with the message, which may itself have lines like those of a stack. */
function framesOf(stack: unknown, message: unknown): string | undefined {
  if (typeof stack !== 'string') return undefined
  const head = typeof message === 'string' && message !== '' ? stack.indexOf(message) : -1
  const rest = head < 0 ? stack : stack.slice(head + (message as string).length)
  return /^ +at .*/ms.exec(rest)?.[0]
}

function listOf(value: unknown): unknown[] {
  try {
    if (!Array.isArray(value)) return []
    return Array.from({ length: Math.min(value.length, MOST_ERRORS) }, (_, index) => read(value, String(index)))
  } catch {
    return []
  }
}

const UNREADABLE: unique symbol = Symbol('unreadable')
const MOST_ERRORS = 10
const MOST_IN_A_LINE = 1_000
