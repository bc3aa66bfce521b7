import { repeat } from '../async/repeat.ts'
import { refuseNewerEngine } from '../database/migrate.ts'
import { BackgroundError } from '../errors.ts'
import { pauses } from '../rules/timings.ts'
import { readEncoding } from '../sql/database/settings.ts'
import type { AnyTask } from '../task.ts'
import { createFit } from './execution/encoding.ts'
import { createEndings } from './execution/ending.ts'
import { createExecutor } from './execution/execute.ts'
import type { EngineStatus } from './health.ts'
import type { ResolvedOptions } from './options.ts'
import type { Outage } from './outage.ts'
import type { OwnConnections } from './own-connections.ts'
import type { DeclaredJobs } from './recurring/code.ts'
import { type Runtime, startRuntime } from './runtime.ts'
import { createDeadline, shutDown } from './shutdown.ts'

/** The options of {@linkcode supervise}. */
export interface SuperviseOptions {
  readonly options: ResolvedOptions
  readonly tasks: ReadonlyMap<string, AnyTask>
  readonly declared: DeclaredJobs
  readonly url: string | undefined
  readonly ownConnections: OwnConnections
  readonly outage: Outage
}

/** Keeps a runtime running, and replaces it when it fails. */
export interface Supervisor {
  /** How many jobs run now. */
  readonly running: number
  /** Whether `stop` was called. */
  readonly isStopping: boolean
  readonly status: EngineStatus
  /** Resolves once the worker can take jobs. */
  readonly ready: Promise<void>
  /** Resolves when the worker has stopped; rejects if this version's engine can no longer work with the database. */
  readonly finished: Promise<void>
  /**
   * Stops the worker. Running jobs may take `timeoutMs` to finish; after several calls, the earliest deadline holds.
   * Resolves with the number of jobs that did not finish.
   */
  stop(timeoutMs: number): Promise<number>
}

/** Starts a runtime and keeps one running until `stop` is called. If a runtime fails, a new one replaces it. */
export async function supervise({
  options,
  tasks,
  declared,
  url,
  ownConnections,
  outage
}: SuperviseOptions): Promise<Supervisor> {
  const { logger, once, shutdownTimeoutMs, backoff, ledger } = options
  const fit = createFit(await readEncoding(ownConnections.execute))
  const endings = createEndings({ ledger, logger, fit })
  const executor = createExecutor({ logger, backoff, endings })
  const deadline = createDeadline()
  const stopping = new AbortController()
  const { signal } = stopping
  const ready = Promise.withResolvers<void>()
  const start = (): Promise<Runtime> =>
    startRuntime({
      options,
      url,
      tasks,
      declared,
      executor,
      endings,
      fit,
      ownConnections,
      onReady: ready.resolve,
      outage,
      signal
    })
  let runtime = await start()
  let restarting: Promise<void> | undefined
  const asked = Promise.withResolvers<undefined>()
  let stopped: Promise<number> | undefined
  let isDone = false

  async function live(): Promise<void> {
    for (;;) {
      // Wait for the end of the runtime or for a call of `stop`. The end alone is not enough: a task that ignores its
      // signal can keep the runtime from ending.
      const end = await Promise.race([runtime.ended, asked.promise])
      if (stopped || !end) break
      const { reason, isDeclaredDead } = end
      logger.error(`The engine ended unexpectedly and restarts: ${reason.message}`, { error: reason })
      if (isDeclaredDead) executor.abort(new Error('The worker was declared dead; other workers run the job'))
      restarting = restart()
      await restarting.catch(cause => {
        stopping.abort()
        throw cause
      })
    }
    await stopped
  }

  async function restart(): Promise<void> {
    // Not awaited: `stop` waits for the running jobs, and the new runtime can run other jobs meanwhile.
    runtime.stop()
    let lastProblem = ''
    const restarted = repeat(replaceRuntime, {
      signal,
      pauses: pauses.engine,
      onFailure(error) {
        if (error instanceof BackgroundError && error.code === 'DATABASE_NEWER') throw error
        const problem = `Cannot start the engine, trying again: ${error}`
        if (problem !== lastProblem) logger.warn(problem, { error })
        lastProblem = problem
      }
    })
    await restarted.catch(error => {
      if (!stopped) throw error
    })
  }

  async function replaceRuntime(): Promise<void> {
    // Repeated until no job is left. Otherwise the jobs would count as those of a lost worker.
    const left = await runtime.release()
    // The engine may have ended because a newer version has migrated the database.
    await outage.outlast(() => refuseNewerEngine(ownConnections.execute, options.schema), signal)
    if (left > 0) throw new Error(`${left} jobs are still locked`)
    const next = await outage.outlast(start, signal)
    if (stopped) {
      await next.stop()
      await next.release()
      return
    }
    runtime = next
    endWhenIdle()
  }

  async function end(): Promise<number> {
    stopping.abort()
    await Promise.race([restarting?.catch(() => {}), deadline.passed])
    return await shutDown({ runtime, executor, deadline, isDone, logger })
  }

  function stop(timeoutMs: number): Promise<number> {
    deadline.shorten(timeoutMs)
    stopped ??= end()
    asked.resolve(undefined)
    return stopped
  }

  function endWhenIdle(): void {
    if (!once) return
    const reason = (error: unknown): void => logger.error(`Cannot tell whether jobs are due: ${error}`, { error })
    runtime.whenIdle().then(() => {
      isDone = true
      return stop(shutdownTimeoutMs)
    }, reason)
  }

  endWhenIdle()
  return {
    get running() {
      return executor.running
    },
    get isStopping() {
      return stopped !== undefined
    },
    get status() {
      return runtime.status
    },
    ready: ready.promise,
    finished: live(),
    stop
  }
}
