import type { Outcome } from '../sql/worker/outcome.ts'
import type { Decision } from './retry.ts'

/** A job as the engine handed it over. */
interface FailedJob {
  readonly id: string
  readonly attempts: number
  readonly locked_at: Date
}

/** What is written of a decision. */
export function toOutcome(decision: Decision, { id, attempts, locked_at }: FailedJob, reason: string): Outcome {
  return {
    id,
    attempt: attempts,
    lockedAtMs: locked_at.getTime(),
    delayMs: 'delayMs' in decision ? (decision.delayMs ?? null) : decision.kind === 'released' ? 0 : null,
    failedMs: performance.now(),
    runAt: 'until' in decision ? (decision.until?.toISOString() ?? null) : null,
    isFree: decision.kind === 'snoozed' || decision.kind === 'released',
    isFinal: decision.kind === 'failed',
    reason
  }
}

/** An outcome without what its task had a say in, after the database has refused it. */
export function stripped(outcome: Outcome, refusal: string): Outcome {
  return {
    ...outcome,
    reason: `What went wrong is not kept: its details could not be stored: ${refusal}`,
    delayMs: outcome.runAt === null ? outcome.delayMs : FALLBACK_DELAY_MS,
    runAt: null
  }
}

/** How long a job waits whose own time for it cannot be stored. */
const FALLBACK_DELAY_MS = 60_000
