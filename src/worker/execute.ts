import type { DelayOf } from '../backoff.ts'
import type { Job } from '../job.ts'
import type { Logger } from '../logger.ts'
import type { RunState } from '../rules/states.ts'
import { isMarkedCancelled } from '../sql/cancel.ts'
import type { EndedRun } from '../sql/ledger/record.ts'
import type { Outcome } from '../sql/outcome.ts'
import { clampDate } from '../sql/times.ts'
import type { AnyTask } from '../task.ts'
import { messageOf, readThrown } from '../text/thrown.ts'
import { describeError, toErrorJson } from './describe.ts'
import { FITS_ALL, type Fit } from './encoding.ts'
import type { EndDetails, EndedRuns } from './ended.ts'
import { createFinishedJobs, type FinishedJobs } from './finished.ts'
import { stripped, toOutcome } from './outcome.ts'
import { createPlanner, type Plan } from './plan.ts'
import { reportFailure, reportStart, reportSuccess } from './report.ts'
import { type Decision, decide } from './retry.ts'
import { Run } from './run.ts'
import { isTracking, runTracked } from './uncaught.ts'

/** A job as the engine hands it over. */
export interface EngineJob {
  readonly id: string
  readonly job_queue_id: number | null
  readonly queue_name?: string | null
  readonly task_identifier: string
  readonly priority: number
  /** A number, as the driver has it, if it is infinite. */
  readonly run_at: Date | number
  readonly attempts: number
  readonly max_attempts: number
  readonly key: string | null
  readonly created_at: Date
  readonly locked_at: Date
  readonly flags: Record<string, unknown> | null
  readonly last_error: string | null
}

/** What the engine offers a run. */
export interface EngineHelpers {
  readonly job: EngineJob
}

/** Runs jobs and knows which are running. */
export interface Executor {
  /** How many are running. */
  readonly running: number
  /** Those that are running. */
  readonly runs: ReadonlySet<Run>
  /** How many were stopped before their end and go back for another worker. */
  readonly released: number
  /** Those whose end is still to be written and that are not to run again. */
  readonly finished: FinishedJobs
  /** Those that are running, as they would be recorded if their worker let go of them now. */
  unfinished(): readonly EndedRun[]
  /** What becomes of failed jobs, by id, until it has been written. */
  readonly outcomes: Map<string, Outcome>
  /** Something of an outcome cannot be written: does without what its task had a say in. */
  stripOutcome(id: string, error: unknown): void
  /**
   * Runs a job to its end. Throws if it did not succeed, with all that is to be kept of the error as its message.
   *
   * @param prepare what has to be done before it begins
   */
  execute(task: AnyTask, payload: unknown, helpers: EngineHelpers, prepare?: () => Promise<void>): Promise<void>
  /** Aborts the signal of every running job. */
  abort(reason: Error): void
  /** Ends the run of a job, or sees to it that the job will not begin. */
  cancel(id: string): void
  /** Forgets jobs that were cancelled and are not here any more. */
  keepCancelled(isHere: (id: string) => boolean): void
}

/** What {@linkcode createExecutor} takes. */
export interface ExecutorOptions {
  readonly logger: Logger
  /** For tasks that name no backoff of their own. */
  readonly backoff: DelayOf
  /** Makes text fit the database. */
  readonly fit?: Fit
  /** Remembers how runs ended; without, nothing is recorded. */
  readonly ended?: EndedRuns | undefined
}

/** The life of a job in this process, from the engine's hand to its end. */
export function createExecutor({ logger, backoff, ended, fit = FITS_ALL }: ExecutorOptions): Executor {
  const runs = new Set<Run>()
  const outcomes = new Map<string, Outcome>()
  const finished = createFinishedJobs()
  const cancelled = new Set<string>()
  const planOf = createPlanner(backoff)
  let released = 0

  async function execute(
    task: AnyTask,
    payload: unknown,
    helpers: EngineHelpers,
    prepare?: () => Promise<void>
  ): Promise<void> {
    const plan = planOf(task)
    try {
      if (prepare) await prepare()
    } catch (cause) {
      return await refuse(new Run(toJob(helpers.job), logger, ended?.redactor), plan, cause, payload, helpers.job)
    }
    const run = new Run(toJob(helpers.job), logger, ended?.redactor)
    const given = ended?.readPayload(payload) ?? null
    const isAfterFailure = helpers.job.last_error !== null
    runs.add(run)
    try {
      if (isCancelled(helpers.job)) {
        ended?.add(run, 'cancelled', { payload: given, hasNotBegun: true, isAfterFailure })
        finished.add(helpers.job)
        return reportFailure(logger, run, { kind: 'cancelled' }, undefined)
      }
      reportStart(logger, run)
      if (plan.timeoutMs !== undefined) run.interruptAfter(plan.timeoutMs)
      const end = await perform(task, payload, run, plan)
      run.finish()
      // What was interrupted has failed, whatever its task made of it.
      if (run.interruption || 'error' in end) {
        const error = run.interruption?.reason ?? ('error' in end ? end.error : undefined)
        return await record(run, plan, error, payload, helpers.job, { payload: given, isAfterFailure })
      }
      ended?.add(run, 'succeeded', { payload: given, result: end.result, isAfterFailure })
      finished.add(helpers.job)
      reportSuccess(logger, run)
    } finally {
      runs.delete(run)
    }
  }

  /** Nothing but the task itself decides whether it has failed. */
  async function perform(
    task: AnyTask,
    payload: unknown,
    run: Run,
    plan: Plan
  ): Promise<{ readonly result: unknown } | { readonly error: unknown }> {
    try {
      // Most runs end by themselves alone, and go the short way.
      const result = await (plan.timeoutMs === undefined && !isTracking()
        ? task(payload, run)
        : run.perform(() => runTracked(run, () => task(payload, run))))
      return { result }
    } catch (error) {
      return { error }
    }
  }

  /** Left to the engine, it would be tried again as if it had no backoff, and nobody would hear of it. */
  async function refuse(run: Run, plan: Plan, cause: unknown, payload: unknown, job: EngineJob): Promise<void> {
    run.finish()
    const error = new Error(`Cannot begin ${run}: ${readThrown(cause, MOST_IN_A_MESSAGE).message}`, { cause })
    await record(run, plan, error, payload, job, { payload: ended?.readPayload(payload) ?? null, hasNotBegun: true })
  }

  /** Whether the job was cancelled after it was scheduled: before it was fetched, or while it waited here. */
  function isCancelled({ id, flags }: EngineJob): boolean {
    return isMarkedCancelled(flags) || (cancelled.size > 0 && cancelled.delete(id))
  }

  /** To the engine a cancelled job has ended well: it is not tried again. All others have failed. */
  async function record(
    run: Run,
    plan: Plan,
    thrown: unknown,
    payload: unknown,
    job: EngineJob,
    details: EndDetails
  ): Promise<void> {
    const { decision, error } = decide(run, plan, thrown, logger)
    const state = stateOf(decision, run)
    const isFailure = decision.kind === 'failed' || decision.kind === 'retried'
    const failure = isFailure ? { error: fit.readableJson(toErrorJson(error, ended?.redactor)) } : {}
    ended?.add(run, state, { ...details, ...failure })
    reportFailure(logger, run, decision, error)
    if (decision.kind === 'cancelled') return finished.add(job)
    if (decision.kind === 'released') released++
    if (decision.kind === 'failed') await mourn(run, plan, error, payload)
    const reason = fit.text(describeError(error, ended?.redactor))
    outcomes.set(job.id, toOutcome(decision, job, reason))
    throw new Failure(reason)
  }

  /** A run of its own, since the signal of the one that failed may have been aborted. */
  async function mourn({ job }: Run, { onFailure, timeoutMs }: Plan, error: unknown, payload: unknown): Promise<void> {
    if (!onFailure) return
    const run = new Run(job, logger)
    runs.add(run)
    run.interruptAfter(timeoutMs ?? ON_FAILURE_TIMEOUT_MS)
    try {
      await run.perform(() => runTracked(run, () => onFailure(error, run, payload as never)))
    } catch (thrown) {
      logger.error(`${run}: its onFailure threw`, {
        event: 'job.onFailure',
        task: job.task,
        job: job.id,
        error: thrown
      })
    } finally {
      run.finish()
      runs.delete(run)
    }
  }

  return {
    get running() {
      return runs.size
    },
    get released() {
      return released
    },
    runs,
    finished,
    unfinished: () => [...runs].map(run => toReleased(run, fit)),
    outcomes,
    stripOutcome(id, error) {
      const outcome = outcomes.get(id)
      if (!outcome) return
      outcomes.set(id, stripped(outcome, fit.text(messageOf(error))))
    },
    execute,
    abort(reason) {
      for (const run of runs) run.abort(reason)
    },
    cancel(id) {
      const its = [...runs].filter(run => run.job.id === id)
      for (const run of its) run.interrupt({ kind: 'cancel', reason: new DOMException('Cancelled', 'AbortError') })
      if (its.length === 0) cancelled.add(id)
    },
    keepCancelled(isHere) {
      for (const id of cancelled) if (!isHere(id)) cancelled.delete(id)
    }
  }
}

/** Until it has ended, the job is locked, and so is its queue. */
const ON_FAILURE_TIMEOUT_MS = 60_000

const MOST_IN_A_MESSAGE = 2_000

/** What the engine is told: it stores an error's message, and nothing else of it. */
class Failure extends Error {
  override readonly name: string = 'Failure'
}

function toReleased({ job, durationMs, notes }: Run, fit: Fit): EndedRun {
  const rest = {
    error: null,
    result: null,
    problem: null,
    payload: null,
    log: fit.json(notes?.log ?? null),
    isAfterFailure: false
  }
  return { id: job.id, state: 'released', attempt: job.attempts, durationMs, endedMs: performance.now(), ...rest }
}

function stateOf(decision: Decision, run: Run): RunState {
  if (decision.kind !== 'failed' && decision.kind !== 'retried') return decision.kind
  return run.interruption?.kind === 'timeout' ? 'timed out' : 'failed'
}

function toJob(job: EngineJob): Job {
  return {
    id: job.id,
    task: job.task_identifier,
    queue: job.queue_name ?? null,
    priority: job.priority,
    runAt: clampDate(Number(job.run_at)),
    attempts: job.attempts,
    maxAttempts: job.max_attempts,
    key: job.key,
    scheduledAt: job.created_at
  }
}
