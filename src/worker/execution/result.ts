import { type Redactor, usualRedactor } from '../../redact/redactor.ts'
import { readThrown } from '../../text/thrown.ts'

/** The result of a task as the ledger keeps it. */
export interface ResultText {
  /** The result as JSON, or `null` if it is not kept. */
  readonly text: string | null
  /** Why the result is not kept. */
  readonly problem?: string
}

/**
 * Serializes a result as JSON. A result that JSON cannot hold, or that is too large, is not kept: a job never fails
 * because of its result.
 */
export function describeResult(value: unknown, maxBytes: number, redactor: Redactor = usualRedactor): ResultText {
  if (value === undefined) return { text: null }
  try {
    const text = writeRedacted(value, redactor)
    // The value is a function or a symbol.
    if (text === null) return { text, problem: `JSON cannot hold a ${typeof value}` }
    const bytes = Buffer.byteLength(text)
    if (bytes <= maxBytes) return { text }
    return { text: null, problem: `it takes ${bytes} bytes, more than ${maxBytes}` }
  } catch (error) {
    return { text: null, problem: `JSON cannot hold it: ${readThrown(error, MOST_IN_A_LINE).message}` }
  }
}

/**
 * Serializes a value as JSON that PostgreSQL can read, without secrets; `null` if JSON has no such value.
 *
 * @throws any error of `JSON.stringify`
 */
export function writeRedacted(value: unknown, redactor: Redactor): string | null {
  const text = redactor.stringify(value)
  return text === undefined ? null : readable(text)
}

/** Replaces escapes of NUL and of single surrogates, which `JSON.stringify` writes and PostgreSQL refuses. */
export function readable(json: string): string {
  if (!UNREADABLE.test(json)) return json
  return json.replace(ESCAPES, found => (found === '\\\\' ? found : '\\ufffd'))
}

const MOST_IN_A_LINE = 1_000
const UNREADABLE = /\\u(?:0000|d[89a-f])/
const ESCAPES = /\\\\|\\u(?:0000|d[89a-f][0-9a-f]{2})/g
