import { setTimeout } from 'node:timers/promises'
import type { Lasting } from '../database/lasting.ts'
import { findCancelled } from '../sql/jobs/cancel.ts'
import { showRuns } from '../sql/ledger/live.ts'
import { hasDueJobs, notifyWorkers, workingBackends } from '../sql/worker/control.ts'
import { nextDueTimes } from '../sql/worker/due.ts'
import { findUnknownTasks } from '../sql/worker/unknown-tasks.ts'
import { markStarted } from '../sql/worker/workers.ts'
import type { AnyTask } from '../task.ts'
import { createCancelWatch } from './cancellations.ts'
import { createClaims } from './claiming/claims.ts'
import { createFetchPolicy } from './claiming/fetch-policy.ts'
import { createIdleCheck } from './claiming/idle.ts'
import { createSettlement } from './claiming/settle.ts'
import { createJobStore } from './claiming/store.ts'
import { createUnknownTasks } from './claiming/unknown-tasks.ts'
import { openConnections } from './engine/connections.ts'
import { type Engine, startEngine } from './engine/engine.ts'
import { createHangWatch } from './engine/hangs.ts'
import { watchListening } from './engine/listening.ts'
import type { Fit } from './execution/encoding.ts'
import type { Endings } from './execution/ending.ts'
import type { Executor } from './execution/execute.ts'
import { createPoisonGuard } from './execution/poison.ts'
import { createProgressReporter } from './execution/progress.ts'
import { type EngineStatus, statusOf } from './health.ts'
import type { ResolvedOptions } from './options.ts'
import type { Outage } from './outage/outage.ts'
import { createMembership } from './peers/membership.ts'
import { releaseClaims } from './peers/release.ts'
import { createSchemaWatch } from './schema-version.ts'
import { startUpkeep } from './upkeep.ts'

/** What {@linkcode startRuntime} takes. */
export interface RuntimeOptions {
  readonly options: ResolvedOptions
  readonly url: string | undefined
  readonly tasks: ReadonlyMap<string, AnyTask>
  readonly executor: Executor
  readonly endings: Endings
  /** Makes text fit the database. */
  readonly fit: Fit
  /** For the worker's own statements, so that they never wait behind the engine's. */
  readonly control: Lasting
  /** Called before each fetch: it is connected, and known to its peers. */
  onReady(): void
  readonly outage: Outage
  /** Gives up a start that waits for the database. */
  readonly signal: AbortSignal
}

/** The engine and all that works with it, under one name in the register of workers. */
export interface Runtime {
  readonly status: EngineStatus
  /** Resolves when it has ended; with the reason if it was not asked to. */
  readonly ended: Promise<RuntimeEnd | undefined>
  /** Resolves once it holds no job and none is due. */
  whenIdle(): Promise<void>
  /** Stops fetching, gives back what was prefetched and resolves when the running jobs have ended. */
  stop(): Promise<void>
  /** Looks after the database once, before its release: one that runs once seldom lives until the first round. */
  lookAround(): Promise<void>
  /**
   * Lets go of what it still holds, for other workers to run, and closes the connections. Returns how many jobs it could
   * not let go of while the database did not answer; may be asked again. If it is not, a peer will see to them, as it
   * would if this worker had died.
   */
  release(): Promise<number>
}

/** Why a runtime ended unasked. */
export interface RuntimeEnd {
  readonly reason: Error
  /** Whether its running jobs are others' now. */
  readonly isDeclaredDead: boolean
}

/** Assembles what a worker consists of, and starts it. */
export async function startRuntime(runtimeOptions: RuntimeOptions): Promise<Runtime> {
  const { options, url, tasks, executor, endings, fit, control, outage, signal } = runtimeOptions
  const { schema, logger, ledger, concurrency } = options
  const { execute } = control
  const names = [...tasks.keys()]
  const kept = ledger && { keepsSuccesses: ledger.successesMs !== false, keepsFailures: ledger.failuresMs !== false }
  const draining = new AbortController()
  const closing = new AbortController()
  let engine: Engine | undefined
  const started = Promise.withResolvers<string>()
  const idOf = (): string => engine?.id ?? ''
  const wake = (): void => engine?.wake()
  const isHungry = (): boolean => engine?.isHungry ?? true

  const claims = createClaims()
  const membership = createMembership({
    options,
    url,
    tasks,
    control,
    outage,
    claims,
    id: started.promise,
    release: worker => releaseClaims(worker, { control, schema, kept, claims, endings, logger }),
    onHung: distrust
  })
  const upkeep = startUpkeep({ settings: ledger, control, url, schema, logger })
  const progress = createProgressReporter({
    runs: executor.runs,
    show: async news => showRuns(execute, schema, await started.promise, news),
    fit,
    logger
  })
  const policy = createFetchPolicy({
    options,
    isHungry,
    wake,
    wakeOthers: count =>
      void notifyWorkers(execute, count).catch(error => logger.debug(`Cannot wake others: ${error}`)),
    look: withinMs => nextDueTimes(execute, schema, names, withinMs),
    logger
  })
  const idle = createIdleCheck({
    // A job that a fetch has just locked would seem to be another worker's.
    isIdle: () => claims.size === 0 && policy.state !== 'fetching',
    hasSuspects: () => membership.liveness?.hasSuspects ?? true,
    hasDueJobs: () => hasDueJobs(execute, schema, names, idOf()),
    wake
  })
  const unknownTasks = createUnknownTasks({ find: () => findUnknownTasks(execute, schema, names), logger })
  const cancellations = createCancelWatch({
    schema,
    claims,
    look: ids => findCancelled(execute, schema, ids),
    logger
  })
  const schemaWatch = createSchemaWatch({ execute, schema, onNewer: reason => engine?.end(reason), logger })
  const poison = createPoisonGuard(job =>
    outage.outlast(() => markStarted(execute, schema, job, idOf()), closing.signal)
  )
  const listening = watchListening({
    onListening() {
      outage.recovered(listening)
      // Nothing was heard of what was scheduled before.
      wake()
    },
    onHung: distrust,
    onLost: error => outage.failed(listening, error)
  })
  const hangs = createHangWatch({
    findWorking: backends => workingBackends(membership.session.execute, backends),
    logger
  })
  const connections = openConnections({
    url,
    max: concurrency + EXTRA_CONNECTIONS,
    prepare: options.prepare,
    logger,
    hangs,
    onHung: distrust
  })
  const settlement = createSettlement({
    mend: upkeep.mend,
    strip: endings.strip,
    logger,
    signal: closing.signal
  })
  const store = createJobStore({
    execute: connections.execute,
    schema,
    kept,
    worker: idOf,
    tasks: names,
    claims,
    policy,
    settlement,
    outage,
    draining: draining.signal,
    closing: closing.signal,
    async beforeFetch() {
      await membership.whenMember()
      runtimeOptions.onReady()
      await membership.putBackForgotten()
    },
    onFetched(count, asked) {
      if (count < asked) unknownTasks.fetchedAll()
      if (claims.size === 0) idle.check()
    },
    onFetchLost: membership.fetchLost,
    onSettled() {
      if (ledger) upkeep.recorded()
      if (claims.size === 0) idle.check()
    },
    refuse: (claim, error) =>
      executor.execute(claim, tasks.get(claim.job.task) ?? unknownTask, () => Promise.reject(error))
  })
  const parts = [policy, unknownTasks, cancellations, schemaWatch, listening, hangs, progress, upkeep]

  // What makes one connection hang seldom spares the others.
  function distrust(listenAnew = listening.suspect): void {
    control.replace()
    connections.distrust()
    listenAnew()
  }
  // Another server may have taken over, and what is connected to the old one would not notice.
  const forgetOutage = outage.whenWritable(() => distrust(listening.renew))
  draining.signal.addEventListener('abort', policy.drain)

  function giveUp(): void {
    draining.abort()
    closing.abort()
  }

  async function shut(): Promise<void> {
    for (const part of parts) part.stop()
    giveUp()
    outage.forget(listening)
    forgetOutage()
    await membership.stop()
  }

  async function run(id: string): Promise<void> {
    const claim = claims.of(id)
    const task = claim && tasks.get(claim.job.task)
    if (!claim || !task) throw new Error(`There is no claim of job ${id}, or no task for it`)
    await poison.run(claim, mark => executor.execute(claim, task, mark))
  }

  async function start(): Promise<Engine> {
    signal.addEventListener('abort', giveUp)
    try {
      return await startEngine({
        connections,
        store,
        outage,
        schema,
        tasks: names,
        run,
        concurrency,
        batchSize: options.localQueueSize,
        returnAfterMs: options.localQueueTtlMs,
        pollIntervalMs: options.pollIntervalMs,
        logger,
        signal: closing.signal,
        onScheduled: policy.scheduled,
        onListening: listening.listen,
        onListeningLost: listening.lost,
        onCancelled: cancellations.notified,
        onMigrated: schemaWatch.ask
      })
    } catch (error) {
      await shut()
      await connections.close()
      throw error
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }

  const running = await start()
  engine = running
  started.resolve(running.id)
  let shutting: Promise<void> | undefined
  let closed: Promise<void> | undefined
  return {
    status: statusOf(running.id, listening, membership),
    ended: Promise.race([
      running.ended.then(reason => reason && { reason, isDeclaredDead: false }),
      membership.declaredDead.then(() => ({ reason: new Error('it was taken for dead'), isDeclaredDead: true }))
    ]),
    whenIdle: idle.whenIdle,
    async lookAround() {
      await Promise.all([unknownTasks.look(), upkeep.lookOnce()])
    },
    async stop() {
      draining.abort()
      await running.stop()
    },
    async release() {
      shutting ??= shut()
      await shutting
      const left = await Promise.race([
        membership.leave(running.id),
        setTimeout(RELEASE_TIMEOUT_MS, claims.size, { ref: false })
      ])
      closed ??= connections.close()
      await closed
      return left
    }
  }
}

/** Of a job that is never run. */
const unknownTask: AnyTask = () => {}

/** For the engine's listener, and for completions while every worker's statement is under way. */
const EXTRA_CONNECTIONS = 2

const RELEASE_TIMEOUT_MS = 5_000
