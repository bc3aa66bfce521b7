import type { DelayOf } from '../../backoff.ts'
import type { Logger } from '../../logger.ts'
import { workerTimings } from '../../rules/timings.ts'
import type { AnyTask } from '../../task.ts'
import { readThrown } from '../../text/thrown.ts'
import { ActiveRun } from './active-run.ts'
import type { Claim } from './claim.ts'
import { decide, type Result, type Verdict } from './decide.ts'
import type { Endings } from './ending.ts'
import { createPlanner, type Plan } from './plan.ts'
import { reportEnd, reportStart } from './report.ts'
import { isTracking, runTracked } from './uncaught.ts'

/** Runs jobs and tracks the running ones. */
export interface Executor {
  /** How many jobs are running. */
  readonly running: number
  /** The runs that are under way. */
  readonly runs: ReadonlySet<ActiveRun>
  /** How many runs were stopped before their end; their jobs are released for other workers. */
  readonly released: number
  /**
   * Runs a claimed job and stores its ending in the claim.
   *
   * @param prepare is awaited before the run begins
   */
  execute(claim: Claim, task: AnyTask, prepare?: () => Promise<void>): Promise<void>
  /** Aborts the signal of every running job. */
  abort(reason: Error): void
}

/** The options of {@linkcode createExecutor}. */
export interface ExecutorOptions {
  readonly logger: Logger
  /** The backoff of tasks that set none. */
  readonly backoff: DelayOf
  readonly endings: Endings
}

/** Creates an executor. */
export function createExecutor({ logger, backoff, endings }: ExecutorOptions): Executor {
  const runs = new Set<ActiveRun>()
  const planOf = createPlanner(backoff)
  let released = 0

  /** The steps of a run: prepare, perform, decide, report, and keep the ending in the claim until it is written. */
  async function execute(claim: Claim, task: AnyTask, prepare?: () => Promise<void>): Promise<void> {
    const plan = planOf(claim.job.task, task)
    const refusal = prepare && (await refusalOf(claim, prepare))
    const run = begin(claim)
    try {
      const payload = endings.readPayload(claim.payload)
      const result = refusal ?? (claim.isCancelled ? CANCELLED : await perform(claim, task, run, plan))
      run.finish()
      const verdict = decide(run, plan, result, logger)
      const hasBegun = !refusal && result !== CANCELLED
      const ending = endings.of(claim, run, verdict, { payload, hasBegun })
      reportEnd(logger, run, verdict)
      if (verdict.kind === 'failed') await callOnFailure(claim, plan, verdict)
      if (verdict.kind === 'released') released++
      claim.ending = ending
    } finally {
      end(claim, run)
    }
  }

  /** Turns an error of `prepare` into a result. The engine itself would retry without backoff and log line. */
  async function refusalOf({ job }: Claim, prepare: () => Promise<void>): Promise<Result | undefined> {
    try {
      await prepare()
    } catch (cause) {
      const { message } = readThrown(cause, MOST_IN_A_MESSAGE)
      return { kind: 'threw', error: new Error(`Cannot begin ${job.task} ${job.id}: ${message}`, { cause }) }
    }
  }

  function begin(claim: Claim): ActiveRun {
    const run = new ActiveRun(claim.job, logger, endings.redactor)
    claim.run = run
    runs.add(run)
    return run
  }

  function end(claim: Claim, run: ActiveRun): void {
    claim.run = undefined
    runs.delete(run)
  }

  /** Runs the task. Only the task itself decides whether it has failed. */
  async function perform(claim: Claim, task: AnyTask, run: ActiveRun, plan: Plan): Promise<Result> {
    const { payload } = claim
    reportStart(logger, run)
    if (plan.timeoutMs !== undefined) run.interruptAfter(plan.timeoutMs)
    try {
      claim.onBegin?.()
      // The fast path: most runs have no time limit and are not tracked.
      const value = await (plan.timeoutMs === undefined && !isTracking()
        ? task(payload, run)
        : run.perform(() => runTracked(run, () => task(payload, run))))
      return { kind: 'returned', value }
    } catch (error) {
      return { kind: 'threw', error }
    }
  }

  /** Calls `onFailure` in a new run, since the signal of the failed run may have been aborted. */
  async function callOnFailure(claim: Claim, { onFailure, timeoutMs }: Plan, { error }: Verdict): Promise<void> {
    if (!onFailure) return
    const run = begin(claim)
    run.interruptAfter(timeoutMs ?? workerTimings.onFailureMs)
    try {
      await run.perform(() => runTracked(run, () => onFailure(error, run, claim.payload as never)))
    } catch (thrown) {
      const { task, id } = claim.job
      logger.error(`${run}: its onFailure threw`, { event: 'job.onFailure', task, job: id, error: thrown })
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
    execute,
    abort(reason) {
      for (const run of runs) run.abort(reason)
    }
  }
}

const CANCELLED: Result = { kind: 'cancelled' }

const MOST_IN_A_MESSAGE = 2_000
