import { BackgroundError, type BackgroundErrorCode } from '../errors.ts'

/**
 * Explains a driver's error in words that a person can act on. Other errors stay as they are: a violated constraint is
 * for the caller to handle.
 *
 * @param doing the action that failed, as in `schedule SendEmail`
 * @param database the name of the database, without secrets
 */
export function explainFailure(error: unknown, doing: string, database: string): unknown {
  if (error instanceof BackgroundError) return error
  const reason = reasonFor(error)
  if (!reason) return error
  return new BackgroundError(reason[0], `Cannot ${doing}: ${reason[1].replace('%', () => database)}`, { cause: error })
}

/** Whether an error is about the connection or the state of the server, not about the statement. */
export function isConnectionFailure(error: unknown): boolean {
  const code = codeOf(error)
  if (code === undefined) return error instanceof Error && UNCODED_FAILURE.test(error.message)
  return CONNECTION_CODES.has(code) || code.startsWith('08') || isReadOnly(error)
}

/**
 * Whether the server is read-only. It may accept writes later, but its open sessions may not: a session keeps the state
 * that it began with, and behind a proxy another server may have taken over.
 */
export function isReadOnly(error: unknown): boolean {
  const code = codeOf(error)
  // A standby cannot read unlogged tables. The message is in the server's language, so the routine identifies it.
  return code === READ_ONLY || (code === '0A000' && (error as { routine?: unknown }).routine === 'get_relation_info')
}

/**
 * Whether a statement may have taken effect although it failed: the connection was lost after it was sent and before
 * the answer came. An answer of the server is certain, and so is a connection that was never made.
 */
export function isOutcomeUnknown(error: unknown): boolean {
  const code = codeOf(error)
  if (code === undefined) return false
  // Poolers use class 08 for a failure between them and the server. 40003 means that the outcome is unknown.
  return LOST.has(code) || (code.startsWith('08') && !NEVER_SENT.has(code)) || code === '40003'
}

/** Whether the statement may succeed later: the connection failed, or the server lacked resources or a lock. */
export function isTransientFailure(error: unknown): boolean {
  const code = codeOf(error)
  return isConnectionFailure(error) || (code !== undefined && TRANSIENT_CODES.test(code))
}

/**
 * Whether a statement may have failed because the schema is not there yet, lacks what we call, or is being migrated by
 * another process. If so, it is worth another try after a migration, which waits for that process.
 */
export function isSchemaMissing(error: unknown): boolean {
  return UNREADY_CODES.has(codeOf(error) ?? '') && !isReadOnly(error)
}

/** Says why a statement failed: the explanation of {@linkcode explainFailure}, or else the message of the error. */
export function describeFailure(error: unknown, database: string): string {
  const code = codeOf(error)
  const reason = reasonFor(error)
  if (reason) return reason[1].replace('%', () => database)
  const message = error instanceof Error ? error.message : String(error)
  return code && !message.includes(code) ? `${message} (${code})` : message
}

/** The SQLSTATE or the system's code of an error, found through `AggregateError`s of several addresses. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  if ('code' in error && typeof error.code === 'string') return error.code
  if (error instanceof AggregateError) return codeOf(error.errors[0])
  return undefined
}

function reasonFor(error: unknown): readonly [BackgroundErrorCode, string] | undefined {
  if (isReadOnly(error)) return REASONS[READ_ONLY]
  const code = codeOf(error)
  if (code === undefined) return undefined
  return (
    REASONS[code] ??
    (UNTRUSTED.test(code) ? [UNAVAILABLE, `the certificate of % is not accepted (${code})`] : undefined)
  )
}

/** Error codes of Node.js and OpenSSL about certificates. */
const UNTRUSTED = /CERT|SELF_SIGNED|LEAF_SIGNATURE/

/** The error for a server that is found to be read-only. */
export function readOnly(): Error {
  return Object.assign(new Error('The server is read-only'), { code: READ_ONLY })
}

const READ_ONLY = '25006'

const UNAVAILABLE = 'DATABASE_UNAVAILABLE' as const

const REASONS: Readonly<Record<string, readonly [BackgroundErrorCode, string]>> = {
  ECONNREFUSED: [UNAVAILABLE, 'nothing listens at % (ECONNREFUSED). Is PostgreSQL running there?'],
  ECONNRESET: [UNAVAILABLE, 'the connection to % broke (ECONNRESET)'],
  EPIPE: [UNAVAILABLE, 'the connection to % broke (EPIPE)'],
  ENOENT: [UNAVAILABLE, 'there is no socket of a server at % (ENOENT). Is PostgreSQL running there?'],
  ENOTFOUND: [UNAVAILABLE, 'the host of % is unknown (ENOTFOUND)'],
  EAI_AGAIN: [UNAVAILABLE, 'the host of % cannot be looked up now (EAI_AGAIN)'],
  EHOSTUNREACH: [UNAVAILABLE, '% cannot be reached (EHOSTUNREACH)'],
  ETIMEDOUT: [UNAVAILABLE, '% does not answer (ETIMEDOUT)'],
  NO_CONNECTION: [
    UNAVAILABLE,
    '% closes connections before they are ready. If sslmode requires TLS: does the server offer it?'
  ],
  CONNECT_TIMEOUT: [UNAVAILABLE, '% does not answer in time'],
  CONNECTION_CLOSED: [UNAVAILABLE, 'the connection to % was closed before the answer came'],
  CONNECTION_DESTROYED: [UNAVAILABLE, 'the connection to % was closed before the answer came'],
  CONNECTION_ENDED: [UNAVAILABLE, 'the connection to % was ended'],
  '28P01': [UNAVAILABLE, '% refuses the user or the password'],
  '28000': [UNAVAILABLE, '% does not let this user in. If it insists on TLS, add ?sslmode=require to its URL'],
  '3D000': [UNAVAILABLE, 'there is no database % on that server'],
  '53300': [UNAVAILABLE, '% has no connection left'],
  '57P01': [UNAVAILABLE, '% closed the connection'],
  '57P02': [UNAVAILABLE, '% crashed and restarts'],
  '57P03': [UNAVAILABLE, '% is starting up or shutting down'],
  '42501': [
    'MIGRATION',
    'the user of % lacks a privilege there. Let its owner grant it, or, if the schema is missing or out of date, run: kretes background migrate'
  ],
  '22P05': [
    'CONFIGURATION',
    'the encoding of % has no place for one of its characters. A database with the encoding UTF8 holds them all'
  ],
  [READ_ONLY]: [UNAVAILABLE, '% is read-only']
}

const CONNECTION_CODES = new Set([
  ...Object.keys(REASONS).filter(code => !['28P01', '28000', '3D000', '42501', '22P05'].includes(code))
])

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

/** Messages of pg's errors about a connection, which have no code. */
const UNCODED_FAILURE = /connection terminated|timeout expired|timeout exceeded|read timeout|not queryable/i

/** Resources (53), the operator (57), the system (58), conflicts (40), locks (55), timeouts of a transaction (25P0). */
const TRANSIENT_CODES = /^(?:53|57|58|40|55006|55P03|25P03|25P04)/

const UNREADY_CODES = new Set([
  '3F000', // no such schema
  '42P01', // no such table
  '42703', // no such column
  '42704', // no such type
  '42883', // no such function
  '42804', // a function that returns other columns than before
  '0A000', // a statement whose result has other columns than when it was prepared
  'XX000' // a table or function that was dropped while the statement used it
])
