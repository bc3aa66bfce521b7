import { setTimeout } from 'node:timers/promises'
import { setTimer } from '../async/timer.ts'
import type { Logger } from '../logger.ts'
import type { Executor } from './execution/execute.ts'
import type { Runtime } from './runtime.ts'

/** What {@linkcode shutDown} takes. */
export interface ShutdownOptions {
  readonly runtime: Runtime
  readonly executor: Executor
  readonly deadline: Deadline
  /** Whether the worker stops because there is nothing left to do. */
  readonly isDone: boolean
  readonly logger: Logger
}

/**
 * Stops a runtime: running jobs may finish until the deadline; then their signals abort, and a moment later the worker
 * lets go of those that still run.
 *
 * @returns how many jobs it had to leave unfinished
 */
export async function shutDown({ runtime, executor, deadline, isDone, logger }: ShutdownOptions): Promise<number> {
  const ending = runtime.stop()
  await Promise.race([ending, deadline.passed])
  // A worker that was taken for dead has let go of runs before.
  const before = executor.released
  if (executor.running > 0) {
    const jobs = executor.running === 1 ? '1 job' : `${executor.running} jobs`
    logger.warn(`Stopping ${jobs} that did not finish in time`)
    executor.abort(new Error('The worker is stopping'))
    await Promise.race([ending, setTimeout(GRACE_MS, undefined, { ref: false })])
  }
  if (isDone) await runtime.lookAround()
  const unfinished = executor.running + executor.released - before
  const left = await runtime.release()
  if (left > 0) logger.warn(`The database does not answer; ${left} jobs go to other workers once it does`)
  return unfinished
}

/** How long a shutdown may take. */
export interface Deadline {
  readonly passed: Promise<void>
  /** Sets it, or brings it forward; it never moves back. */
  shorten(timeoutMs: number): void
}

/** Makes a deadline that does not pass until it is set. */
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

/** How long tasks get to react to their aborted signal. */
const GRACE_MS = 1_000
