import { AsyncLocalStorage } from 'node:async_hooks'
import process from 'node:process'
import { refuseUnknown } from '../../check/options.ts'
import type { ActiveRun } from './active-run.ts'

/** The options of {@linkcode guardProcess}. */
export interface GuardOptions {
  /**
   * Called with an uncaught exception that belongs to no job. The process may be in an undefined state, so stop the
   * worker and end the process.
   */
  onException(error: unknown): void
  /** Called with the reason of an unhandled rejection that belongs to no job. */
  onRejection(reason: unknown): void
}

/**
 * Makes uncaught exceptions (as in a timer or an event handler) and unhandled rejections of a task fail its job instead
 * of ending the process. The worker logs them. The guard applies to the whole process, so use it only in a program that
 * is a worker and nothing else, such as `kretes background`.
 *
 * How many errors can be traced to their job depends on the runtime: in Node.js 24 all errors; in Node.js 22 all except
 * those in `queueMicrotask`; in Deno all except those in callbacks of timers; in Bun those in callbacks, but no
 * unhandled rejections.
 *
 * @returns a disposable that removes the guard
 * @throws {TypeError} if an option is unknown
 * @example
 * ```ts
 * import { guardProcess, startWorker, type Worker } from 'kretes/worker'
 *
 * let worker: Worker | undefined
 * guardProcess({
 *   onException: error => {
 *     console.error(error)
 *     process.exitCode = 1
 *     worker?.stop()
 *   },
 *   onRejection: reason => console.error(reason)
 * })
 * worker = await startWorker({ tasks: 'tasks', logger: console })
 * for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => worker?.stop())
 * await worker.finished
 * ```
 */
export function guardProcess(options: GuardOptions): Disposable {
  refuseUnknown(options, { onException: true, onRejection: true }, 'guard the process')
  const { onException, onRejection } = options
  tracker ??= new AsyncLocalStorage()
  const tracked = tracker

  function blame(error: unknown, what: string, otherwise: (error: unknown) => void): void {
    const run = tracked.getStore()
    if (run) run.blame(error, what)
    else otherwise(error)
  }
  const onUncaught = (error: unknown): void => blame(error, 'threw an exception that was not caught', onException)
  const onUnhandled = (reason: unknown): void => blame(reason, 'left a rejection unhandled', onRejection)

  process.on('uncaughtException', onUncaught)
  process.on('unhandledRejection', onUnhandled)
  return {
    [Symbol.dispose]() {
      process.off('uncaughtException', onUncaught)
      process.off('unhandledRejection', onUnhandled)
    }
  }
}

/** Runs the work of a run. If the process is guarded, uncaught errors of the work can be traced to the run. */
export function runTracked<Result>(run: ActiveRun, work: () => Result): Result {
  return tracker ? tracker.run(run, work) : work()
}

/** Whether the process is guarded. */
export function isTracking(): boolean {
  return tracker !== undefined
}

let tracker: AsyncLocalStorage<ActiveRun> | undefined
