import type { Redactor } from '../../redact/redactor.ts'
import { readThrown, type Thrown } from '../../text/thrown.ts'

/**
 * An error as the database keeps it: name and message first, then the stack, then the errors that lie behind it. Free of
 * what PostgreSQL cannot hold, and never longer than {@linkcode MAX_LENGTH}.
 */
export function describeError(error: unknown, redactor?: Redactor): string {
  const text = [...tell(readThrown(error, MAX_LENGTH, redactor), '')].join('\n')
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH - 1).toWellFormed()}…` : text
}

/**
 * An error as the ledger keeps it: JSON text of an object with `name`, `message` and `stack`, and with `cause` and
 * `errors` where others lie behind it. Bounded like {@linkcode describeError}.
 */
export function toErrorJson(error: unknown, redactor?: Redactor): string {
  return JSON.stringify(toRecord(readThrown(error, MAX_LENGTH, redactor)))
}

/** What is thrown need not be an error, but is kept as one. */
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

/** In characters: some kilobytes, as any row can bear. */
const MAX_LENGTH = 8_192
