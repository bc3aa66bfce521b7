import { setTimeout } from 'node:timers/promises'
import { setTimer } from '../async/timer.ts'
import type { Lasting } from '../database/lasting.ts'
import { refuseNewerEngine } from '../database/migrate.ts'
import { BackgroundError } from '../errors.ts'
import { readEncoding } from '../sql/control.ts'
import type { AnyTask } from '../task.ts'
import { createFit } from './encoding.ts'
import { createEndedRuns } from './ended.ts'
import { startEngine } from './engine.ts'
import { createExecutor } from './execute.ts'
import type { EngineStatus } from './health.ts'
import type { Engine } from './life.ts'
import type { ResolvedOptions } from './options.ts'
import type { Outage } from './outage.ts'
import { persist } from './persist.ts'

/** What {@linkcode supervise} takes. */
export interface SuperviseOptions {
  readonly options: ResolvedOptions
  readonly tasks: ReadonlyMap<string, AnyTask>
  readonly url: string | undefined
  readonly control: Lasting
  readonly outage: Outage
}

/** An engine that is kept running. */
export interface Supervisor {
  /** How many jobs run now. */
  readonly running: number
  /** Whether it has been asked to stop. */
  readonly isStopping: boolean
  readonly status: EngineStatus
  /** Resolves once it can take jobs. */
  readonly ready: Promise<void>
  /** Resolves when the engine has stopped for good; rejects if no engine of this version can work here any more. */
  readonly finished: Promise<void>
  /** Stops it; running jobs get this long. Asked again, the shorter time holds. Resolves with the jobs left unfinished. */
  stop(timeoutMs: number): Promise<number>
}

/** Keeps an engine running until it is asked to stop; one that ends unasked is followed by a new one. */
export async function supervise({ options, tasks, url, control, outage }: SuperviseOptions): Promise<Supervisor> {
  const { logger, once, shutdownTimeoutMs, backoff, ledger } = options
  const fit = createFit(await readEncoding(control.sql))
  const ended = ledger && createEndedRuns(ledger, logger, fit)
  const executor = createExecutor({ logger, backoff, ended, fit })
  const deadline = createDeadline()
  const stopping = new AbortController()
  const { signal } = stopping
  const { sql, replace } = control
  const ready = Promise.withResolvers<void>()
  const rest = { control: sql, replaceControl: replace, onReady: ready.resolve, outage, signal }
  const shared = { options, url, tasks, executor, ended, fit, ...rest }
  const start = (): Promise<Engine> => startEngine(shared)
  let engine = await start()
  let restarting: Promise<void> | undefined
  const asked = Promise.withResolvers<undefined>()
  let stopped: Promise<number> | undefined
  let isDone = false

  async function live(): Promise<void> {
    for (;;) {
      // Tasks that ignore their signal keep an engine from ending: once asked to stop, nobody waits for it here.
      const end = await Promise.race([engine.ended, asked.promise])
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
    // Not awaited: it waits for the running jobs. The new engine has others to run meanwhile.
    engine.stop()
    let told = ''
    for (let failures = 0; !stopped; failures++) {
      try {
        // Until nothing is left, or its jobs would count as those of a lost worker.
        const left = await engine.release()
        // A newer version may have migrated the database under this one, and that be what ended the engine.
        await persist(() => refuseNewerEngine(sql, options.schema), { outage, signal })
        if (left > 0) throw new Error(`${left} jobs are still locked`)
        const next = await persist(start, { outage, signal })
        if (stopped) return await leave(next)
        engine = next
        endWhenIdle()
        return
      } catch (error) {
        if (stopped) return
        if (error instanceof BackgroundError && error.code === 'DATABASE_NEWER') throw error
        const pauseMs = Math.round(Math.min(MAX_PAUSE_MS, MIN_PAUSE_MS * 2 ** failures) * (0.5 + Math.random() / 2))
        const problem = `The engine could not be started, and is tried again until it can: ${error}`
        if (problem !== told) logger.warn(problem, { error })
        told = problem
        await setTimeout(pauseMs, undefined, { signal }).catch(() => {})
      }
    }
  }

  async function leave(unwanted: Engine): Promise<void> {
    await unwanted.stop()
    await unwanted.release()
  }

  async function shutDown(): Promise<number> {
    stopping.abort()
    await Promise.race([restarting?.catch(() => {}), deadline.passed])
    const ending = engine.stop()
    await Promise.race([ending, deadline.passed])
    // A worker that was taken for dead has let go of runs before.
    const before = executor.released
    if (executor.running > 0) {
      const jobs = executor.running === 1 ? '1 job' : `${executor.running} jobs`
      logger.warn(`Stopping ${jobs} that did not finish in time`)
      executor.abort(new Error('The worker is stopping'))
      await Promise.race([ending, setTimeout(GRACE_MS, undefined, { ref: false })])
    }
    if (isDone) await engine.lookAround()
    const unfinished = executor.running + executor.released - before
    const left = await engine.release()
    if (left > 0) logger.warn(`The database does not answer; ${left} jobs go to other workers once it does`)
    return unfinished
  }

  function stop(timeoutMs: number): Promise<number> {
    deadline.shorten(timeoutMs)
    stopped ??= shutDown()
    asked.resolve(undefined)
    return stopped
  }

  function endWhenIdle(): void {
    if (!once) return
    const reason = (error: unknown): void => logger.error(`Cannot tell whether jobs are due: ${error}`, { error })
    engine.whenIdle().then(() => {
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
      return engine.status
    },
    ready: ready.promise,
    finished: live(),
    stop
  }
}

interface Deadline {
  readonly passed: Promise<void>
  /** Sets it, or brings it forward; it never moves back. */
  shorten(timeoutMs: number): void
}

function createDeadline(): Deadline {
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

const MIN_PAUSE_MS = 100
const MAX_PAUSE_MS = 5_000

/** How long tasks get to react to their aborted signal. */
const GRACE_MS = 1_000
