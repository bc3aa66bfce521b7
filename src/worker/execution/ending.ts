import type { Logger } from '../../logger.ts'
import type { Redactor } from '../../redact/redactor.ts'
import { FAILURE_STATES, type RunState } from '../../rules/states.ts'
import type { Ending, Next } from '../../sql/worker/ending.ts'
import { messageOf } from '../../text/thrown.ts'
import type { LedgerSettings } from '../options.ts'
import type { Claim } from './claim.ts'
import type { Verdict } from './decide.ts'
import { FITS_ALL, type Fit } from './encoding.ts'
import { describeError, toErrorJson } from './error-text.ts'
import { describeResult, writeRedacted } from './result.ts'
import type { Run } from './run.ts'

/** Creates the endings of runs, with the details that the ledger keeps. */
export interface Endings {
  readonly redactor: Redactor | undefined
  /** Serializes a payload before its task can change it; `null` if payloads are not kept. */
  readPayload(payload: unknown): string | null
  /** Creates the ending of a run. */
  of(claim: Claim, run: Run, verdict: Verdict, details: EndingDetails): Ending
  /** Creates the ending of a claim that the worker releases before the run has ended. */
  ofBrokenOff(claim: Claim, run: Run): Ending
  /**
   * Removes values from an ending that the database refuses. The first call removes all values that the task provided;
   * the second call also gives up its record. Returns `undefined` if nothing is left to remove.
   */
  strip(ending: Ending, error: unknown): Ending | undefined
}

/** More facts about the end of a run. */
export interface EndingDetails {
  /** The result of {@linkcode Endings.readPayload}. */
  readonly payload: string | null
  readonly hasBegun: boolean
}

/** The options of {@linkcode createEndings}. */
export interface EndingsOptions {
  /** The settings of the ledger. `undefined` records nothing. */
  readonly ledger: LedgerSettings | undefined
  readonly logger: Logger
  /** Makes text fit the database. */
  readonly fit?: Fit
}

/** Creates the {@linkcode Endings} of a worker. Problems with the details that the ledger keeps never fail a job. */
export function createEndings({ ledger, logger, fit = FITS_ALL }: EndingsOptions): Endings {
  const redactor = ledger?.redactor
  const warned = new Set<string>()
  const stripped = new WeakSet<Ending>()

  function readPayload(payload: unknown): string | null {
    if (!ledger?.keepPayloads) return null
    try {
      return fit.json(writeRedacted(payload, ledger.redactor))
    } catch (error) {
      logger.warn(`Cannot keep a payload: ${messageOf(error)}`, { event: 'ledger.payload', error })
      return null
    }
  }

  function readResult({ job }: Claim, verdict: Verdict): Pick<Ending, 'result' | 'problem'> {
    if (!ledger || verdict.kind !== 'succeeded') return { result: null, problem: null }
    const { text, problem } = describeResult(verdict.value, ledger.maxResultBytes, redactor)
    if (problem !== undefined && !warned.has(job.task)) {
      warned.add(job.task)
      logger.warn(`Cannot keep a result of ${job.task}: ${problem}`, { event: 'ledger.result', task: job.task })
    }
    return { result: fit.json(text), problem: problem === undefined ? null : fit.text(problem) }
  }

  function readError(state: RunState, error: unknown): string | null {
    return ledger && isFailure(state) ? fit.readableJson(toErrorJson(error, redactor)) : null
  }

  function begin({ job, lockedAtMs, isQueued, hasFailedBefore }: Claim) {
    return {
      id: job.id,
      attempt: job.attempts,
      lockedAtMs,
      isQueued,
      endedMs: performance.now(),
      isAfterFailure: hasFailedBefore,
      isRecorded: ledger !== undefined
    }
  }

  return {
    redactor,
    readPayload,
    of(claim, run, verdict, { payload, hasBegun }) {
      const state = stateOf(verdict, run)
      return {
        ...begin(claim),
        state,
        durationMs: hasBegun ? run.durationMs : null,
        error: readError(state, verdict.error),
        ...readResult(claim, verdict),
        payload,
        log: ledger ? fit.json(run.notes?.log ?? null) : null,
        next: nextOf(verdict, () => fit.text(describeError(verdict.error, redactor)))
      }
    },
    ofBrokenOff: (claim, run) => ({
      ...begin(claim),
      state: 'released',
      durationMs: run.durationMs,
      error: null,
      result: null,
      problem: null,
      payload: null,
      log: ledger ? fit.json(run.notes?.log ?? null) : null,
      next: { kind: 'wait' }
    }),
    strip(ending, refusal) {
      const isBare = stripped.has(ending)
      if (isBare && !ending.isRecorded) return undefined
      const problem = `its details could not be stored: ${messageOf(refusal)}`
      if (ledger) {
        const fields = { event: 'ledger.stripped', job: ending.id, error: refusal }
        logger.warn(`A run of job ${ending.id}: ${problem}`, fields)
      }
      const left = isBare ? { ...ending, isRecorded: false } : withoutDetails(ending, fit.text(problem))
      stripped.add(left)
      return left
    }
  }

  function withoutDetails(ending: Ending, problem: string): Ending {
    const reason = `The error was not kept: ${problem}`
    return {
      ...ending,
      error: readError(ending.state, new Error(reason)),
      result: null,
      problem,
      payload: null,
      log: null,
      next: stripNext(ending.next, reason)
    }
  }
}

function isFailure(state: RunState): boolean {
  return FAILURE_STATES.some(failure => failure === state)
}

function stateOf(verdict: Verdict, run: Run): RunState {
  if (verdict.kind !== 'failed' && verdict.kind !== 'retried') return verdict.kind
  return run.interruption?.kind === 'timeout' ? 'timed out' : 'failed'
}

function nextOf(verdict: Verdict, describe: () => string): Next {
  switch (verdict.kind) {
    case 'succeeded':
    case 'cancelled':
      return { kind: 'remove' }
    case 'failed':
      return { kind: 'fail', reason: describe() }
    case 'retried':
      return { kind: 'retry', reason: describe(), delayMs: verdict.delayMs }
    case 'released':
      return { kind: 'wait' }
    case 'snoozed':
      return { kind: 'wait', delayMs: verdict.delayMs, runAt: verdict.until?.toISOString() }
  }
}

/** Removes the values that the task provided: its error, and a time that cannot be stored. */
function stripNext(next: Next, reason: string): Next {
  if (next.kind === 'remove') return next
  if (next.kind !== 'wait') return { ...next, reason }
  return next.runAt === undefined ? next : { kind: 'wait', delayMs: FALLBACK_DELAY_MS }
}

/** How long a snoozed job waits if its time cannot be stored. */
const FALLBACK_DELAY_MS = 60_000
