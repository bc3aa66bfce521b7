import { inspect } from 'node:util'

/**
 * An error as the database keeps it: name and message first, then the stack, then the errors that lie behind it. Free of
 * what PostgreSQL cannot hold, and never longer than {@linkcode MAX_LENGTH}.
 */
export function describeError(error: unknown): string {
  const text = [...tell(error, '', new Set())].join('\n')
  const short = text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH - 1)}…` : text
  return short.replaceAll('\0', '\uFFFD').toWellFormed()
}

function* tell(error: unknown, prefix: string, told: Set<unknown>): Generator<string> {
  if (told.size >= MOST_ERRORS || told.has(error)) return
  told.add(error)
  if (!isError(error)) {
    yield prefix + (typeof error === 'string' ? error : inspect(error))
    return
  }
  yield `${prefix}${error.name}: ${error.message}`
  const frames = /^ +at .*/ms.exec(error.stack ?? '')?.[0]
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
