import { codeOf } from './failure.ts'

/**
 * Whether a statement may have taken effect although it failed: the connection was lost after it was sent and before
 * the answer came. An answer of the server's is certain, and so is a connection that was never made.
 */
export function isOutcomeUnknown(error: unknown): boolean {
  const code = codeOf(error)
  if (code === undefined) return false
  // Poolers use class 08 for what happened between them and the server; 40003 says in words that nobody knows.
  return LOST.has(code) || (code.startsWith('08') && !NEVER_SENT.has(code)) || code === '40003'
}

const LOST = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_DESTROYED',
  'ECONNABORTED',
  'ECONNRESET',
  'ENETDOWN',
  'ENETRESET',
  'EPIPE',
  'ETIMEDOUT'
])

/** The server, or a pooler, refused the connection itself. */
const NEVER_SENT = new Set(['08001', '08004'])
