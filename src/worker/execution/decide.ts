import { compileBackoff } from '../../backoff.ts'
import { isPermanent, isSnooze, readSnooze } from '../../errors.ts'
import type { NamedLimit } from '../../limit/lane.ts'
import { isRateLimited, limitToHold } from '../../limit/rate-limited.ts'
import type { Logger } from '../../logger.ts'
import { messageOf, readThrown } from '../../text/thrown.ts'
import type { ActiveRun } from './active-run.ts'
import type { Plan } from './plan.ts'

/** The result of running a task. */
export type Result =
  | { readonly kind: 'returned'; readonly value: unknown }
  | { readonly kind: 'threw'; readonly error: unknown }
  /** The job was cancelled before it began. */
  | { readonly kind: 'cancelled' }

/** The decision about a job after a run, with the value that the task returned or threw. */
export type Verdict = (
  | { readonly kind: 'succeeded'; readonly value: unknown }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'retried'; readonly delayMs: number }
  | { readonly kind: 'failed' }
  /** The worker is stopping. Another worker runs the job, and the attempt does not count. */
  | { readonly kind: 'released' }
  | {
      readonly kind: 'snoozed'
      readonly delayMs?: number | undefined
      readonly until?: Date | undefined
      readonly holds?: NamedLimit | undefined
    }
) & { readonly error?: unknown }

/** Decides what happens to a job after a run. An interrupted run counts as interrupted, even if its task succeeds. */
export function decide(run: ActiveRun, plan: Plan, result: Result, logger: Logger): Verdict {
  const { interruption } = run
  if (result.kind === 'cancelled') return { kind: 'cancelled' }
  if (result.kind === 'returned' && !interruption) return { kind: 'succeeded', value: result.value }
  const error = interruption?.reason ?? ('error' in result ? result.error : undefined)
  if (interruption?.kind === 'cancel') return { kind: 'cancelled', error }
  if (!isSnooze(error)) return judge(run, plan, error, logger)
  try {
    // A job of a queue does not have the limits of its task.
    const limits = run.job.queue === null ? plan.limits : []
    const holds = isRateLimited(error) ? limitToHold(error, limits, run.job.task) : undefined
    return { kind: 'snoozed', ...readSnooze(error), holds, error }
  } catch (cause) {
    return judge(run, plan, new RangeError(readThrown(cause, MOST_CHARACTERS).message, { cause: error }), logger)
  }
}

function judge(run: ActiveRun, plan: Plan, error: unknown, logger: Logger): Verdict {
  if (isPermanent(error)) return { kind: 'failed', error }
  if (run.isAborted && !run.interruption) return { kind: 'released', error }
  if (run.attempt >= run.job.maxAttempts) return { kind: 'failed', error }
  return { kind: 'retried', delayMs: delayAfter(run, plan, error, logger), error }
}

/** If the task's backoff throws, the default backoff applies, so that the job is not lost. */
function delayAfter(run: ActiveRun, plan: Plan, error: unknown, logger: Logger): number {
  try {
    return plan.delayOf(run.attempt, error)
  } catch (cause) {
    logger.error(`${run}: its backoff threw, so the default backoff applies: ${messageOf(cause)}`, { error: cause })
    return FALLBACK(run.attempt, error)
  }
}

const FALLBACK = compileBackoff('exponential', 'retry a job')
const MOST_CHARACTERS = 1_000
