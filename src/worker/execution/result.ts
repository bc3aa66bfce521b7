import { type Redactor, usualRedactor } from '../../redact/redactor.ts'
import { readThrown } from '../../text/thrown.ts'

/** What a task returned, as the ledger keeps it. */
export interface ResultText {
  /** JSON, or `null` if there is nothing to keep. */
  readonly text: string | null
  /** Why it is not kept. */
  readonly problem?: string
}

/**
 * A result as JSON text. What JSON cannot hold, or takes more room than it may, is not kept: a job never fails for what
 * it returns.
 */
export function describeResult(value: unknown, maxBytes: number, redactor: Redactor = usualRedactor): ResultText {
  if (value === undefined) return { text: null }
  try {
    const text = writeRedacted(value, redactor)
    // A function, or a symbol.
    if (text === null) return { text, problem: `JSON cannot hold a ${typeof value}` }
    const bytes = Buffer.byteLength(text)
    if (bytes <= maxBytes) return { text }
    return { text: null, problem: `it takes ${bytes} bytes, more than ${maxBytes}` }
  } catch (error) {
    return { text: null, problem: `JSON cannot hold it: ${readThrown(error, MOST_IN_A_LINE).message}` }
  }
}

/**
 * A value as JSON text that PostgreSQL can read, without secrets; `null` if JSON knows no such value.
 *
 * @throws what `JSON.stringify` throws
 */
export function writeRedacted(value: unknown, redactor: Redactor): string | null {
  const text = redactor.stringify(value)
  return text === undefined ? null : readable(text)
}

/** Neither half of a surrogate pair nor NUL is a character to PostgreSQL; `JSON.stringify` writes both as escapes. */
export function readable(json: string): string {
  if (!UNREADABLE.test(json)) return json
  return json.replace(ESCAPES, found => (found === '\\\\' ? found : '\\ufffd'))
}

const MOST_IN_A_LINE = 1_000
const UNREADABLE = /\\u(?:0000|d[89a-f])/
const ESCAPES = /\\\\|\\u(?:0000|d[89a-f][0-9a-f]{2})/g
