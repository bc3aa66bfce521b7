import type { DelayOf } from '../../backoff.ts'
import type { Logger } from '../../logger.ts'
import type { AnyTask } from '../../task.ts'
import { readThrown } from '../../thrown.ts'
import type { Claim } from './claim.ts'
import { decide, type Result, type Verdict } from './decide.ts'
import type { Endings } from './ending.ts'
import { createPlanner, type Plan } from './plan.ts'
import { reportEnd, reportStart } from './report.ts'
import { Run } from './run.ts'
import { isTracking, runTracked } from './uncaught.ts'

/** Runs jobs and knows which are running. */
export interface Executor {
  /** How many are running. */
  readonly running: number
  /** Those that are running. */
  readonly runs: ReadonlySet<Run>
  /** How many were stopped before their end and go back for another worker. */
  readonly released: number
  /**
   * Runs a claimed job to its end, which the claim then holds.
   *
   * @param prepare what has to be done before it begins
   */
  execute(claim: Claim, task: AnyTask, prepare?: () => Promise<void>): Promise<void>
  /** Aborts the signal of every running job. */
  abort(reason: Error): void
}

/** The options of {@linkcode createExecutor}. */
export interface ExecutorOptions {
  readonly logger: Logger
  /** For tasks that name no backoff of their own. */
  readonly backoff: DelayOf
  readonly endings: Endings
}

/** Makes what runs the jobs of this process. */
export function createExecutor({ logger, backoff, endings }: ExecutorOptions): Executor {
  const runs = new Set<Run>()
  const planOf = createPlanner(backoff)
  let released = 0

  /** The life of a run: prepare, perform, decide, report, and keep what became of it until it is written. */
  async function execute(claim: Claim, task: AnyTask, prepare?: () => Promise<void>): Promise<void> {
    const plan = planOf(task)
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

  /** Left to the engine, a job that cannot begin would be tried again without its backoff, and unheard of. */
  async function refusalOf({ job }: Claim, prepare: () => Promise<void>): Promise<Result | undefined> {
    try {
      await prepare()
    } catch (cause) {
      const { message } = readThrown(cause, MOST_IN_A_MESSAGE)
      return { kind: 'threw', error: new Error(`Cannot begin ${job.task} ${job.id}: ${message}`, { cause }) }
    }
  }

  function begin(claim: Claim): Run {
    const run = new Run(claim.job, logger, endings.redactor)
    claim.run = run
    runs.add(run)
    return run
  }

  function end(claim: Claim, run: Run): void {
    claim.run = undefined
    runs.delete(run)
  }

  /** Only the task itself decides whether it has failed. */
  async function perform({ payload }: Claim, task: AnyTask, run: Run, plan: Plan): Promise<Result> {
    reportStart(logger, run)
    if (plan.timeoutMs !== undefined) run.interruptAfter(plan.timeoutMs)
    try {
      // Most runs end without a time limit and untracked, and go the short way.
      const value = await (plan.timeoutMs === undefined && !isTracking()
        ? task(payload, run)
        : run.perform(() => runTracked(run, () => task(payload, run))))
      return { kind: 'returned', value }
    } catch (error) {
      return { kind: 'threw', error }
    }
  }

  /** A run of its own, since the signal of the one that failed may have been aborted. */
  async function callOnFailure(claim: Claim, { onFailure, timeoutMs }: Plan, { error }: Verdict): Promise<void> {
    if (!onFailure) return
    const run = begin(claim)
    run.interruptAfter(timeoutMs ?? ON_FAILURE_TIMEOUT_MS)
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

/** Until it has ended, the job is locked, and so is its queue. */
const ON_FAILURE_TIMEOUT_MS = 60_000

const MOST_IN_A_MESSAGE = 2_000
