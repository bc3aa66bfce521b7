import { compileBackoff } from '../backoff.ts'
import { isPermanent, isSnooze, readSnooze } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { messageOf, readThrown } from '../text/thrown.ts'
import type { Plan } from './plan.ts'
import type { Run } from './run.ts'

/** What becomes of a job whose run did not succeed. */
export type Decision =
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'retried'; readonly delayMs: number }
  | { readonly kind: 'failed' }
  /** The worker is stopping: another one runs it, at no cost of an attempt. */
  | { readonly kind: 'released' }
  | { readonly kind: 'snoozed'; readonly delayMs?: number | undefined; readonly until?: Date | undefined }

/** A decision, and the error that is kept of the run. */
export interface Verdict {
  readonly decision: Decision
  readonly error: unknown
}

/** Decides what becomes of a job whose task threw, or whose run was interrupted. */
export function decide(run: Run, plan: Plan, thrown: unknown, logger: Logger): Verdict {
  if (run.interruption?.kind === 'cancel') return { decision: { kind: 'cancelled' }, error: thrown }
  if (!isSnooze(thrown)) return { decision: judge(run, plan, thrown, logger), error: thrown }
  try {
    return { decision: { kind: 'snoozed', ...readSnooze(thrown) }, error: thrown }
  } catch (cause) {
    const error = new RangeError(readThrown(cause, MOST_CHARACTERS).message, { cause: thrown })
    return { decision: judge(run, plan, error, logger), error }
  }
}

function judge(run: Run, plan: Plan, error: unknown, logger: Logger): Decision {
  if (isPermanent(error)) return { kind: 'failed' }
  if (run.isAborted && !run.interruption) return { kind: 'released' }
  if (run.attempt >= run.job.maxAttempts) return { kind: 'failed' }
  return { kind: 'retried', delayMs: delayAfter(run, plan, error, logger) }
}

/** A backoff that fails is no reason to lose a job. */
function delayAfter(run: Run, plan: Plan, error: unknown, logger: Logger): number {
  try {
    return plan.delayOf(run.attempt, error)
  } catch (cause) {
    logger.error(`${run}: its backoff threw; the default one holds: ${messageOf(cause)}`, { error: cause })
    return FALLBACK(run.attempt, error)
  }
}

const FALLBACK = compileBackoff('exponential', 'retry a job')
const MOST_CHARACTERS = 1_000
