import { refuseUnknown } from './check/options.ts'
import { checkTime } from './check/values.ts'
import { type Duration, toMilliseconds } from './duration.ts'

/** The condition of a {@linkcode BackgroundError}. Codes are stable, so your program can branch on them. */
export type BackgroundErrorCode =
  | 'CLOSED'
  | 'CONFIGURATION'
  | 'DATABASE_NEWER'
  | 'DATABASE_UNAVAILABLE'
  | 'EMBEDDED_DATABASE'
  | 'JOB_CANCELLED'
  | 'JOB_FAILED'
  | 'JOB_GONE'
  | 'JOB_RUNNING'
  | 'INVALID_PAYLOAD'
  | 'MIGRATION'
  | 'NO_DATABASE'
  | 'NO_LIMIT'
  | 'NO_RECURRING_JOB'
  | 'OUTCOME_UNKNOWN'
  | 'RESULT_NOT_KEPT'
  | 'TASKS'
  | 'TIMEOUT'

/**
 * An error that you may want to catch. Wrong arguments throw a `TypeError` or `RangeError` instead.
 *
 * @example Tell a missing database from other failures
 * ```ts
 * import { Background, BackgroundError } from 'kretes'
 *
 * try {
 *   await Background.schedule({ task: 'SendEmail', payload: { to: 'admin@example.com' } })
 * } catch (error) {
 *   if (error instanceof BackgroundError && error.code === 'DATABASE_UNAVAILABLE') console.error(error.message)
 *   else throw error
 * }
 * ```
 */
export class BackgroundError extends Error {
  /** `BackgroundError`. */
  override readonly name: string = 'BackgroundError'

  /** The condition. */
  readonly code: BackgroundErrorCode

  /**
   * Creates an error.
   *
   * @param code the condition
   * @param message one line for a person: what was not possible, a colon, the actual state
   * @param options the error behind this one, as `cause`
   */
  constructor(code: BackgroundErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * Throw this in a task if no further attempt would help. The job fails for good immediately.
 *
 * @example
 * ```ts
 * import { PermanentError, type Task } from 'kretes'
 *
 * const ChargeCard: Task<{ card: string }> = async ({ card }) => {
 *   if (card === '') throw new PermanentError('Cannot charge the card: it was removed')
 * }
 * export default ChargeCard
 * ```
 */
export class PermanentError extends Error {
  /** `PermanentError`. */
  override readonly name: string = 'PermanentError'

  /**
   * Creates an error after which the job is not retried.
   *
   * @param message what went wrong
   * @param options the error behind this one, as `cause`
   */
  constructor(message?: string, options?: ErrorOptions) {
    super(message, options)
    Object.defineProperty(this, PERMANENT, { value: true })
  }
}

/**
 * Throw this in a task to run the job again later. The run is not a failure and does not count as an attempt, so this
 * works on the last attempt too.
 *
 * @example
 * ```ts
 * import { Snooze, type Task } from 'kretes'
 *
 * const FetchReport: Task<{ url: string }> = async ({ url }) => {
 *   const response = await fetch(url)
 *   if (response.status === 202) throw new Snooze('10m')
 * }
 * export default FetchReport
 * ```
 */
export class Snooze extends Error {
  /** `Snooze`. */
  override readonly name: string = 'Snooze'

  /** The delay in milliseconds, unless a time is given. */
  readonly delayMs: number | undefined

  /** The time of the next run, unless a delay is given. */
  readonly until: Date | undefined

  /**
   * Creates an error that puts the job off.
   *
   * @param length the delay, by the database's clock: milliseconds, `'10m'`, `{ minutes: 10 }`; or the time of the next run
   * @throws {TypeError} if it is neither a duration nor a time
   * @throws {RangeError} if the duration is negative or longer than 100 years, or the time is not from 1970 to 9999
   */
  constructor(length: Duration | { readonly until: Date | string }) {
    const isTime = typeof length === 'object' && length !== null && 'until' in length
    if (isTime) refuseUnknown(length, { until: true }, 'snooze')
    const until = isTime ? new Date(length.until) : undefined
    if (isTime && until) checkTime(until, 'snooze', 'until', length.until)
    const delayMs = isTime ? undefined : toMilliseconds(length, 'snooze', 'the delay')
    super(until ? `Snoozed until ${until.toISOString()}` : `Snoozed for ${delayMs} ms`)
    this.delayMs = delayMs
    this.until = until
    Object.defineProperty(this, SNOOZE, { value: true })
  }
}

/**
 * Reads the delay or the time of a snooze. A task may throw a snooze of another version of this module, or change one, so
 * the values are checked again.
 *
 * @throws {TypeError} if it is neither a duration nor a time
 * @throws {RangeError} if the database cannot hold it
 */
export function readSnooze({ delayMs, until }: Snooze): Pick<Snooze, 'delayMs' | 'until'> {
  if (until === undefined) return { until, delayMs: toMilliseconds(delayMs as number, 'snooze', 'the delay') }
  const time = new Date(until)
  checkTime(time, 'snooze', 'until')
  return { until: time, delayMs: undefined }
}

/** Whether this is a {@linkcode PermanentError}, even of another copy of this module. */
export function isPermanent(error: unknown): error is PermanentError {
  return isMarked(error, PERMANENT)
}

/** Whether this is a {@linkcode Snooze}, even of another copy of this module. */
export function isSnooze(error: unknown): error is Snooze {
  return isMarked(error, SNOOZE)
}

/** A revoked proxy throws at any question. */
function isMarked(error: unknown, mark: symbol): boolean {
  try {
    return typeof error === 'object' && error !== null && mark in error
  } catch {
    return false
  }
}

/** Registered symbols, because the application and the worker may have two copies of this module. */
const PERMANENT: unique symbol = Symbol.for('kretes.error.permanent') as never
const SNOOZE: unique symbol = Symbol.for('kretes.error.snooze') as never
