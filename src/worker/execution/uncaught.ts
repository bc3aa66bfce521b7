import { AsyncLocalStorage } from 'node:async_hooks'
import process from 'node:process'
import { refuseUnknown } from '../../known.ts'
import type { Run } from './run.ts'

/** The options of {@linkcode guardProcess}. */
export interface GuardOptions {
  /**
   * Called with an exception that no job is to blame for. Nobody knows what it has left behind, so the process had
   * better stop its worker and end.
   */
  onException(error: unknown): void
  /** Called with the reason of a rejection that nobody handled and no job is to blame for. */
  onRejection(reason: unknown): void
}

/**
 * Sees to it that an exception that a task throws where nobody can catch it (in a timer, in an event) and a rejection
 * that nobody handles fail that task's job, not the process; the worker logs them. It holds for the whole process, so it
 * is for a program that is a worker and nothing else; `kretes background` is one.
 *
 * Which job it was is known as far as the runtime tells. Node.js 24 knows it of all that a task has begun, Node.js 22 of
 * all but `queueMicrotask`, Deno of all but callbacks of timers, Bun of callbacks but not of rejections.
 *
 * @returns takes the guard away when it is disposed of
 * @example
 * ```ts
 * import { guardProcess, startWorker } from 'kretes/worker'
 *
 * using guard = guardProcess({
 *   onException: error => worker.stop().then(() => console.error(error)),
 *   onRejection: reason => console.error(reason)
 * })
 * await using worker = await startWorker({ tasks: 'tasks', logger: console })
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
  const onUncaught = (error: unknown): void => blame(error, 'threw where nobody catches', onException)
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

/** Does the work of a run in such a way that what it leaves behind can be traced to it, if the process is guarded. */
export function runTracked<Result>(run: Run, work: () => Result): Result {
  return tracker ? tracker.run(run, work) : work()
}

/** Whether the process is guarded. */
export function isTracking(): boolean {
  return tracker !== undefined
}

let tracker: AsyncLocalStorage<Run> | undefined
