import { TransactionError } from '../database/connections/transaction.ts'
import { codeOf, explainFailure, isOutcomeUnknown } from '../database/failure.ts'
import { BackgroundError } from '../errors.ts'

/**
 * Whether a statement failed for a reason that may lie in one of its jobs, so that the other jobs can be saved. A failure
 * of the server, or a missing privilege, would only repeat for each job.
 */
export function isFaultOfOne(error: unknown): boolean {
  const code = codeOf(error)
  if (code === undefined || !isAnswer(error) || isOutcomeUnknown(error)) return false
  return code === '57014' || !(code === '42501' || /^(?:08|25|28|3D|53|57|58)/.test(code))
}

/** Explains a failure. The error's code tells whether the work was done. */
export function explainOutcome(error: unknown, doing: string, database: string): unknown {
  const isEnded = error instanceof TransactionError
  const cause = isEnded ? error.cause : error
  if (cause instanceof BackgroundError || (isEnded && error.isCertain) || !isOutcomeUnknown(cause)) {
    return explainFailure(cause, doing, database)
  }
  return new BackgroundError(
    'OUTCOME_UNKNOWN',
    `Cannot tell whether it was possible to ${doing}: the connection to ${database} was lost before the answer came`,
    { cause }
  )
}

function isAnswer(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'severity' in error
}
