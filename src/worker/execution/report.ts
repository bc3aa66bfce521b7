import type { LogFields, Logger } from '../../logger.ts'
import type { ActiveRun } from './active-run.ts'
import type { Verdict } from './decide.ts'

/** Logs that a run has begun. */
export function reportStart(logger: Logger, run: ActiveRun): void {
  logger.info(`${run} started`, fieldsOf('started', run))
}

/** Logs how a run ended. */
export function reportEnd(logger: Logger, run: ActiveRun, verdict: Verdict): void {
  const { level, event, text, details } = describe(verdict)
  const fields = { ...fieldsOf(event, run), durationMs: run.durationMs, ...details }
  logger[level](`${run} ${text}`, level === 'info' ? fields : { ...fields, error: verdict.error })
}

function describe(verdict: Verdict): { level: keyof Logger; event: string; text: string; details?: LogFields } {
  switch (verdict.kind) {
    case 'succeeded':
      return { level: 'info', event: 'succeeded', text: 'succeeded' }
    case 'cancelled':
      return { level: 'info', event: 'cancelled', text: 'was cancelled' }
    case 'released':
      return { level: 'warn', event: 'released', text: 'stopped; another worker will run it' }
    case 'snoozed': {
      const { until: runAt, delayMs, holds } = verdict
      const level = 'info'
      const event = 'snoozed'
      const is = holds ? 'is rate limited' : 'is snoozed'
      const limit = holds && { limit: holds.name }
      if (!runAt) return { level, event, text: `${is} for ${delayMs} ms`, details: { delayMs, ...limit } }
      return { level, event, text: `${is} until ${runAt.toISOString()}`, details: { runAt, ...limit } }
    }
    case 'failed':
      return { level: 'error', event: 'failed', text: 'failed for good', details: { isLast: true } }
    case 'retried': {
      const { delayMs } = verdict
      const text = `failed, next attempt in ${delayMs} ms`
      return { level: 'error', event: 'failed', text, details: { isLast: false, delayMs } }
    }
  }
}

function fieldsOf(event: string, { job }: ActiveRun): LogFields {
  const { id, task, queue, attempts: attempt, maxAttempts } = job
  return { event: `job.${event}`, task, job: id, queue, attempt, maxAttempts }
}
