import { inspect } from 'node:util'

/**
 * An error as the database keeps it: name and message first, then the stack, then the errors that lie behind it. Free of
 * what PostgreSQL cannot hold, and never longer than {@linkcode MAX_LENGTH}.
 */
export function describeError(error: unknown): string {
  const text = [...tell(error, '', new Set())].join('\n')
  const short = text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH - 1)}…` : text
  return clean(short)
}

/**
 * An error as the ledger keeps it: JSON text of an object with `name`, `message` and `stack`, and with `cause` and
 * `errors` where others lie behind it. Bounded like {@linkcode describeError}.
 */
export function toErrorJson(error: unknown): string {
  const room = { errors: MOST_ERRORS, characters: MAX_LENGTH }
  return JSON.stringify(toRecord(error, room, new Set()))
}

interface ErrorRecord {
  name: string
  message: string
  stack?: string
  cause?: ErrorRecord
  errors?: ErrorRecord[]
}

function toRecord(error: unknown, room: { errors: number; characters: number }, told: Set<unknown>): ErrorRecord {
  told.add(error)
  room.errors--
  const take = (text: string): string => {
    const short = text.length > room.characters ? `${text.slice(0, Math.max(0, room.characters - 1))}…` : text
    room.characters -= short.length
    return clean(short)
  }
  if (!isError(error)) {
    // What is thrown need not be an error.
    return { name: 'Error', message: take(typeof error === 'string' ? error : inspect(error)) }
  }
  const record: ErrorRecord = { name: take(error.name), message: take(error.message) }
  const frames = framesOf(error)
  if (frames) record.stack = take(frames)
  const isNew = (other: unknown): boolean => room.errors > 0 && room.characters > 0 && !told.has(other)
  if (error.cause !== undefined && isNew(error.cause)) record.cause = toRecord(error.cause, room, told)
  for (const one of error.errors ?? []) {
    if (!isNew(one)) continue
    record.errors ??= []
    record.errors.push(toRecord(one, room, told))
  }
  return record
}

/** Without what PostgreSQL cannot hold. */
function clean(text: string): string {
  return text.replaceAll('\0', '\uFFFD').toWellFormed()
}

function framesOf({ stack }: ErrorLike): string | undefined {
  return /^ +at .*/ms.exec(stack ?? '')?.[0]
}

function* tell(error: unknown, prefix: string, told: Set<unknown>): Generator<string> {
  if (told.size >= MOST_ERRORS || told.has(error)) return
  told.add(error)
  if (!isError(error)) {
    yield prefix + (typeof error === 'string' ? error : inspect(error))
    return
  }
  yield `${prefix}${error.name}: ${error.message}`
  const frames = framesOf(error)
  if (frames) yield frames
  if (error.cause !== undefined) yield* tell(error.cause, 'caused by ', told)
  if (error.errors) for (const one of error.errors) yield* tell(one, 'one of them: ', told)
}

interface ErrorLike {
  readonly name: string
  readonly message: string
  readonly stack?: string
  readonly cause?: unknown
  readonly errors?: readonly unknown[]
}

/** Errors of another realm, and of the platform, are no instances of ours. */
function isError(value: unknown): value is ErrorLike {
  if (typeof value !== 'object' || value === null) return false
  const { name, message, errors } = value as ErrorLike
  return typeof name === 'string' && typeof message === 'string' && (errors === undefined || Array.isArray(errors))
}

/** In characters: some kilobytes, as any row can bear. */
const MAX_LENGTH = 8_192

const MOST_ERRORS = 10
