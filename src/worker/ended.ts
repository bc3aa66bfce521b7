import type { Logger } from '../logger.ts'
import type { Redactor } from '../redact/redactor.ts'
import { FAILURE_STATES, type RunState } from '../rules/states.ts'
import { type EndedRun, type Kept, recordFailures } from '../sql/ledger/record.ts'
import type { Execute } from '../sql/statement.ts'
import { messageOf } from '../text/thrown.ts'
import { toErrorJson } from './describe.ts'
import { FITS_ALL, type Fit } from './encoding.ts'
import type { LedgerSettings } from './options.ts'
import { describeResult, writeRedacted } from './result.ts'
import type { Run } from './run.ts'

/** What the worker remembers of runs until their end has been written. */
export interface EndedRuns {
  readonly kept: Kept
  readonly redactor: Redactor
  /** By the id of the job. */
  readonly runs: ReadonlyMap<string, EndedRun>
  /** Reads what a task is given, before it can change it; `null` if that is not kept. */
  readPayload(payload: unknown): string | null
  /** A run has ended. */
  add(run: Run, state: RunState, details: EndDetails): void
  /** Something of it cannot be written: does without all that its task left behind, and the next time without the run. */
  strip(id: string, error: unknown): boolean
  /** Whether its run cannot be recorded. */
  isUnrecordable(id: string): boolean
  /** It has been written. */
  forget(id: string): void
}

/** What else is known of the end of a run. */
export interface EndDetails {
  /** As {@linkcode EndedRuns.readPayload} has read it. */
  readonly payload: string | null
  readonly result?: unknown
  /** JSON text. */
  readonly error?: string
  /** Whether it never began. */
  readonly hasNotBegun?: boolean
  /** As {@linkcode EndedRun.isAfterFailure} has it. */
  readonly isAfterFailure?: boolean
}

/** Keeps what only the worker knows of the runs that end. */
export function createEndedRuns(settings: LedgerSettings, logger: Logger, fit: Fit = FITS_ALL): EndedRuns {
  const { keepPayloads, redactor, maxResultBytes } = settings
  const runs = new Map<string, EndedRun>()
  const warned = new Set<string>()
  const stripped = new WeakSet<EndedRun>()
  const unrecordable = new Set<string>()

  /** A job never fails for what is kept of it. */
  function readPayload(payload: unknown): string | null {
    if (!keepPayloads) return null
    try {
      return writeRedacted(payload, redactor)
    } catch (error) {
      logger.warn(`A payload is not kept: ${messageOf(error)}`, { event: 'ledger.payload', error })
      return null
    }
  }

  function readResult({ job }: Run, value: unknown): Pick<EndedRun, 'result' | 'problem'> {
    const { text, problem } = describeResult(value, maxResultBytes, redactor)
    if (problem !== undefined && !warned.has(job.task)) {
      warned.add(job.task)
      logger.warn(`A result of ${job.task} is not kept: ${problem}`, { event: 'ledger.result', task: job.task })
    }
    return { result: fit.json(text), problem: problem === undefined ? null : fit.text(problem) }
  }

  return {
    kept: { keepsSuccesses: settings.successesMs !== false, keepsFailures: settings.failuresMs !== false },
    redactor,
    runs,
    readPayload,
    add(run, state, { payload, result, error, hasNotBegun = false, isAfterFailure = false }) {
      const { id, attempts } = run.job
      runs.set(id, {
        id,
        state,
        attempt: attempts,
        durationMs: hasNotBegun ? null : run.durationMs,
        endedMs: performance.now(),
        error: error ?? null,
        ...readResult(run, result),
        payload: fit.json(payload),
        log: fit.json(run.notes?.log ?? null),
        isAfterFailure
      })
    },
    strip(id, error) {
      const run = runs.get(id)
      if (unrecordable.has(id)) return false
      const reason = `its details could not be stored: ${messageOf(error)}`
      logger.warn(`Of a run of job ${id}, ${reason}`, { event: 'ledger.stripped', job: id, error })
      if (!run || stripped.has(run)) {
        unrecordable.add(id)
        return true
      }
      const isFailure = FAILURE_STATES.some(state => state === run.state)
      const kept = {
        ...run,
        error: isFailure ? fit.readableJson(toErrorJson(new Error(`What went wrong is not kept: ${reason}`))) : null,
        result: null,
        problem: fit.text(reason),
        payload: null,
        log: null
      }
      stripped.add(kept)
      runs.set(id, kept)
      return true
    },
    isUnrecordable: id => unrecordable.has(id),
    forget(id) {
      runs.delete(id)
      unrecordable.delete(id)
    }
  }
}

/** Records runs of jobs that their worker lets go of before their end. */
export async function recordReleased(
  execute: Execute,
  schema: string,
  { kept }: EndedRuns,
  worker: string,
  runs: readonly EndedRun[]
): Promise<void> {
  if (runs.length === 0) return
  await recordFailures(
    execute,
    schema,
    kept,
    worker,
    runs.map(run => ({ ...run, isOver: false, isFree: true }))
  )
}
