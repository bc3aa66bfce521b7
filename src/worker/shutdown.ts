import { setTimeout } from 'node:timers/promises'
import { setTimer } from '../async/timer.ts'
import type { Logger } from '../logger.ts'
import { workerTimings } from '../rules/timings.ts'
import type { Executor } from './execution/execute.ts'
import type { Runtime } from './runtime.ts'

/** The options of {@linkcode shutDown}. */
export interface ShutdownOptions {
  readonly runtime: Runtime
  readonly executor: Executor
  readonly deadline: Deadline
  /** Whether the worker stops because there is nothing left to do. */
  readonly isDone: boolean
  readonly logger: Logger
}

/**
 * Stops a runtime. Running jobs may finish until the deadline; then their signals abort. One second later, the worker
 * releases the jobs that still run, for other workers.
 *
 * @returns how many jobs did not finish
 */
export async function shutDown({ runtime, executor, deadline, isDone, logger }: ShutdownOptions): Promise<number> {
  const ending = runtime.stop()
  await Promise.race([ending, deadline.passed])
  // A worker that was declared dead has released runs earlier; they do not count again.
  const before = executor.released
  if (executor.running > 0) {
    const jobs = executor.running === 1 ? '1 job' : `${executor.running} jobs`
    logger.warn(`Stopping ${jobs} that did not finish in time`)
    executor.abort(new Error('The worker is stopping'))
    await Promise.race([ending, setTimeout(workerTimings.graceMs, undefined, { ref: false })])
  }
  if (isDone) await runtime.runUpkeep()
  const unfinished = executor.running + executor.released - before
  const left = await runtime.release()
  if (left > 0) logger.warn(`The database does not answer; other workers take over ${left} jobs once it does`)
  return unfinished
}

/** The time by which running jobs must have finished. */
export interface Deadline {
  readonly passed: Promise<void>
  /** Sets the deadline, or moves it forward. A later time has no effect. */
  shorten(timeoutMs: number): void
}

/** Creates a deadline. It does not pass until it is set. */
export function createDeadline(): Deadline {
  const { promise: passed, resolve } = Promise.withResolvers<void>()
  let atMs = Number.POSITIVE_INFINITY
  return {
    passed,
    shorten(timeoutMs) {
      const newAtMs = performance.now() + timeoutMs
      if (newAtMs >= atMs) return
      atMs = newAtMs
      setTimer(timeoutMs, resolve, { ref: false })
    }
  }
}
