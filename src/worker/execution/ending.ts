import type { Logger } from '../../logger.ts'
import type { Redactor } from '../../redact/redactor.ts'
import { FAILURE_STATES, type RunState } from '../../rules/states.ts'
import { workerTimings } from '../../rules/timings.ts'
import type { Ending, Next } from '../../sql/worker/ending.ts'
import { messageOf } from '../../text/thrown.ts'
import type { LedgerSettings } from '../options.ts'
import type { ActiveRun } from './active-run.ts'
import type { Claim } from './claim.ts'
import type { Verdict } from './decide.ts'
import { FITS_ALL, type Fit } from './encoding.ts'
import { describeError, toErrorJson } from './error-text.ts'
import { describeResult, type ResultText, writeRedacted } from './result.ts'

/** Creates the endings of runs, with the details that the ledger keeps. */
export interface Endings {
  readonly redactor: Redactor | undefined
  /** Serializes a payload before its task can change it; `null` if payloads are not kept. */
  readPayload(payload: unknown): string | null
  /** Creates the ending of a run. */
  of(claim: Claim, run: ActiveRun, verdict: Verdict, details: EndingDetails): Ending
  /** Creates the ending of a claim that the worker releases before the run has ended. */
  ofBrokenOff(claim: Claim, run: ActiveRun): Ending
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

  function readResult({ job }: Claim, value: unknown): ResultText {
    if (!ledger) return NO_RESULT
    const result = describeResult(value, ledger.maxResultBytes, redactor)
    if (result.problem !== undefined && !warned.has(job.task)) {
      warned.add(job.task)
      logger.warn(`Cannot keep a result of ${job.task}: ${result.problem}`, { event: 'ledger.result', task: job.task })
    }
    return result
  }

  function readError(state: RunState, error: unknown): string | null {
    return ledger && isFailure(state) ? fit.readableJson(toErrorJson(error, redactor)) : null
  }

  /** Runs for each job, so it spreads no objects. */
  function create(claim: Claim, run: ActiveRun, state: RunState, next: Next, details: Details): Ending {
    return {
      id: claim.job.id,
      attempt: claim.job.attempts,
      lockedAtMs: claim.lockedAtMs,
      isQueued: claim.queueId !== null && !claim.lane,
      state,
      durationMs: details.hasBegun ? run.durationMs : null,
      endedMs: performance.now(),
      error: details.error,
      result: fit.json(details.result.text),
      problem: details.result.problem === undefined ? null : fit.text(details.result.problem),
      payload: details.payload,
      log: ledger ? fit.json(run.notes?.log ?? null) : null,
      isAfterFailure: claim.hasFailedBefore,
      isRecorded: ledger !== undefined,
      next
    }
  }

  return {
    redactor,
    readPayload,
    of(claim, run, verdict, { payload, hasBegun }) {
      const state = stateOf(verdict, run)
      const next = nextOf(verdict, claim, () => fit.text(describeError(verdict.error, redactor)))
      const result = verdict.kind === 'succeeded' ? readResult(claim, verdict.value) : NO_RESULT
      return create(claim, run, state, next, { error: readError(state, verdict.error), result, payload, hasBegun })
    },
    ofBrokenOff: (claim, run) => create(claim, run, 'released', { kind: 'wait' }, NO_DETAILS),
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

/** What is kept of a run beside its log. */
interface Details {
  readonly error: string | null
  readonly result: ResultText
  readonly payload: string | null
  readonly hasBegun: boolean
}

const NO_RESULT: ResultText = { text: null }
const NO_DETAILS: Details = { error: null, result: NO_RESULT, payload: null, hasBegun: true }
const REMOVE: Next = { kind: 'remove' }

function isFailure(state: RunState): boolean {
  return FAILURE_STATES.some(failure => failure === state)
}

function stateOf(verdict: Verdict, run: ActiveRun): RunState {
  if (verdict.kind !== 'failed' && verdict.kind !== 'retried') return verdict.kind
  return run.interruption?.kind === 'timeout' ? 'timed out' : 'failed'
}

function nextOf(verdict: Verdict, { lane }: Claim, describe: () => string): Next {
  switch (verdict.kind) {
    case 'succeeded':
    case 'cancelled':
      return REMOVE
    case 'failed':
      return { kind: 'fail', reason: describe() }
    case 'retried':
      return { kind: 'retry', reason: describe(), delayMs: verdict.delayMs }
    case 'released':
      return { kind: 'wait' }
    case 'snoozed': {
      const { delayMs, until, holds } = verdict
      // The job keeps its place, and the limit is held.
      if (lane && holds) {
        return {
          kind: 'wait',
          holds: { limit: holds.name, isKeyed: holds.isKeyed, delayMs, until: until?.toISOString() }
        }
      }
      return { kind: 'wait', delayMs, runAt: until?.toISOString() }
    }
  }
}

/** Removes the values that the task provided: its error, and a time that cannot be stored. */
function stripNext(next: Next, reason: string): Next {
  if (next.kind === 'remove') return next
  if (next.kind !== 'wait') return { ...next, reason }
  if (next.holds?.until !== undefined) {
    return { kind: 'wait', holds: { ...next.holds, until: undefined, delayMs: workerTimings.snoozeFallbackMs } }
  }
  return next.runAt === undefined ? next : { kind: 'wait', delayMs: workerTimings.snoozeFallbackMs }
}
