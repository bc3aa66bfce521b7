import type { Redactor } from '../../redact/redactor.ts'
import { readThrown, type Thrown } from '../../text/thrown.ts'

/**
 * Describes an error for the engine's table: name and message, then the stack, then its causes and the errors that it
 * contains. The text has no characters that PostgreSQL cannot hold, and at most {@linkcode MAX_LENGTH} characters.
 */
export function describeError(error: unknown, redactor?: Redactor): string {
  const text = [...tell(readThrown(error, MAX_LENGTH, redactor), '')].join('\n')
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH - 1).toWellFormed()}…` : text
}

/**
 * Describes an error for the ledger: the JSON of an object with `name`, `message` and `stack`, and with `cause` and
 * `errors` if the error has them. The length is limited as in {@linkcode describeError}.
 */
export function toErrorJson(error: unknown, redactor?: Redactor): string {
  return JSON.stringify(toRecord(readThrown(error, MAX_LENGTH, redactor)))
}

/** A task may throw a value that is not an error. The ledger keeps it as an error. */
function toRecord({ name = 'Error', message, stack, cause, errors }: Thrown): Thrown {
  return {
    name,
    message,
    ...(stack !== undefined && { stack }),
    ...(cause && { cause: toRecord(cause) }),
    ...(errors && { errors: errors.map(toRecord) })
  }
}

function* tell({ name, message, stack, cause, errors = [] }: Thrown, prefix: string): Generator<string> {
  yield `${prefix}${name === undefined ? '' : `${name}: `}${message}`
  if (stack !== undefined) yield stack
  if (cause) yield* tell(cause, 'caused by ')
  for (const one of errors) yield* tell(one, 'one of them: ')
}

/** In characters: a few kilobytes, which any row can hold. */
const MAX_LENGTH = 8_192
