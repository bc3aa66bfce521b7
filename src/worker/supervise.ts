import { repeat } from '../async/repeat.ts'
import { refuseNewerEngine } from '../database/migrate.ts'
import { BackgroundError } from '../errors.ts'
import { readEncoding } from '../sql/worker/control.ts'
import type { AnyTask } from '../task.ts'
import type { Control } from './control.ts'
import { createFit } from './execution/encoding.ts'
import { createEndings } from './execution/ending.ts'
import { createExecutor } from './execution/execute.ts'
import type { EngineStatus } from './health.ts'
import type { ResolvedOptions } from './options.ts'
import type { Outage } from './outage.ts'
import { type Runtime, startRuntime } from './runtime.ts'
import { createDeadline, shutDown } from './shutdown.ts'

/** What {@linkcode supervise} takes. */
export interface SuperviseOptions {
  readonly options: ResolvedOptions
  readonly tasks: ReadonlyMap<string, AnyTask>
  readonly url: string | undefined
  readonly control: Control
  readonly outage: Outage
}

/** A runtime that is kept running. */
export interface Supervisor {
  /** How many jobs run now. */
  readonly running: number
  /** Whether it has been asked to stop. */
  readonly isStopping: boolean
  readonly status: EngineStatus
  /** Resolves once it can take jobs. */
  readonly ready: Promise<void>
  /** Resolves when it has stopped for good; rejects if no engine of this version can work here any more. */
  readonly finished: Promise<void>
  /** Stops it; running jobs get this long. Asked again, the shorter time holds. Resolves with the jobs left unfinished. */
  stop(timeoutMs: number): Promise<number>
}

/** Keeps a runtime running until it is asked to stop; one that ends unasked is followed by a new one. */
export async function supervise({ options, tasks, url, control, outage }: SuperviseOptions): Promise<Supervisor> {
  const { logger, once, shutdownTimeoutMs, backoff, ledger } = options
  const fit = createFit(await readEncoding(control.execute))
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
      executor,
      endings,
      fit,
      control,
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
      // Tasks that ignore their signal keep it from ending: once it is asked to stop, this does not wait for it.
      const end = await Promise.race([runtime.ended, asked.promise])
      if (stopped || !end) break
      const { reason, isDeclaredDead } = end
      logger.error(`The engine ended and is started anew: ${reason.message}`, { error: reason })
      if (isDeclaredDead) executor.abort(new Error('The worker was taken for dead, and others run the job again'))
      restarting = restart()
      await restarting.catch(cause => {
        stopping.abort()
        throw cause
      })
    }
    await stopped
  }

  async function restart(): Promise<void> {
    // Not awaited: it waits for the running jobs. The new one has others to run meanwhile.
    runtime.stop()
    let told = ''
    const restarted = repeat(replaceRuntime, {
      signal,
      pauses: PAUSES,
      onFailure(error) {
        if (error instanceof BackgroundError && error.code === 'DATABASE_NEWER') throw error
        const problem = `The engine could not be started, and is tried again until it can: ${error}`
        if (problem !== told) logger.warn(problem, { error })
        told = problem
      }
    })
    await restarted.catch(error => {
      if (!stopped) throw error
    })
  }

  async function replaceRuntime(): Promise<void> {
    // Until nothing is left, or its jobs would count as those of a lost worker.
    const left = await runtime.release()
    // A newer version may have migrated the database under this one, and that be what ended the engine.
    await outage.outlast(() => refuseNewerEngine(control.execute, options.schema), signal)
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

const PAUSES = { leastMs: 100, mostMs: 5_000 }
