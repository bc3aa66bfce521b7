import { refuseUnknown } from './check/options.ts'
import { checkTime } from './check/values.ts'
import { type Duration, toMilliseconds } from './duration.ts'

/** What a {@linkcode BackgroundError} is about; stable, so that a program may branch on it. */
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
  | 'OUTCOME_UNKNOWN'
  | 'RESULT_NOT_KEPT'
  | 'TASKS'
  | 'TIMEOUT'

/**
 * A condition that a caller may want to catch. Wrong arguments throw `TypeError` or `RangeError` instead.
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

  /** What kind of condition this is. */
  readonly code: BackgroundErrorCode

  /**
   * An error with a code.
   *
   * @param code what kind of condition this is
   * @param message one line for a person: what could not be done, a colon, the actual state
   * @param options the error that lies behind this one, as `cause`
   */
  constructor(code: BackgroundErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * Thrown by a task: no further attempt will help, so the job fails for good at once.
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
   * An error after which nothing is tried again.
   *
   * @param message what went wrong
   * @param options the error that lies behind this one, as `cause`
   */
  constructor(message?: string, options?: ErrorOptions) {
    super(message, options)
    Object.defineProperty(this, PERMANENT, { value: true })
  }
}

/**
 * Thrown by a task: the job waits and runs again later, and this run counts as no attempt. It is no failure and works on
 * the last attempt too.
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

  /** For how many milliseconds, unless there is a time. */
  readonly delayMs: number | undefined

  /** Until when, unless there is a delay. */
  readonly until: Date | undefined

  /**
   * Puts the job off.
   *
   * @param length how long, by the database's clock: milliseconds, `'10m'`, `{ minutes: 10 }`; or until when
   * @throws {TypeError} if it is neither a duration nor a time
   * @throws {RangeError} if it is a negative duration, longer than 100 years, or a time outside of the years 1970 to 9999
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
 * For how long, or until when, what a task threw puts its job off. A task can throw a snooze of another version of this
 * module, or change one.
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

/** Whether a task threw a {@linkcode PermanentError}, be it that of another copy of this module. */
export function isPermanent(error: unknown): error is PermanentError {
  return isMarked(error, PERMANENT)
}

/** Whether a task threw a {@linkcode Snooze}, be it that of another copy of this module. */
export function isSnooze(error: unknown): error is Snooze {
  return isMarked(error, SNOOZE)
}

/** A proxy that was revoked answers no question at all. */
function isMarked(error: unknown, mark: symbol): boolean {
  try {
    return typeof error === 'object' && error !== null && mark in error
  } catch {
    return false
  }
}

/** Registered, since the application's copy of this module and the worker's may be two. */
const PERMANENT: unique symbol = Symbol.for('kretes.error.permanent') as never
const SNOOZE: unique symbol = Symbol.for('kretes.error.snooze') as never
