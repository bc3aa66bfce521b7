import { setTimeout } from 'node:timers/promises'
import { findCancelled } from '../sql/jobs/cancel.ts'
import { showRuns } from '../sql/ledger/live.ts'
import { markStarted } from '../sql/worker/workers.ts'
import type { AnyTask } from '../task.ts'
import { createCancelWatch } from './cancellations.ts'
import { createClaiming } from './claiming/claiming.ts'
import { createClaims } from './claiming/claims.ts'
import { createClaimRunner } from './claiming/run-claims.ts'
import type { Control } from './control.ts'
import { openConnections } from './engine/connections.ts'
import { createEngine } from './engine/engine.ts'
import { watchListening } from './engine/listening.ts'
import type { Fit } from './execution/encoding.ts'
import type { Endings } from './execution/ending.ts'
import type { Executor } from './execution/execute.ts'
import { createProgressReporter } from './execution/progress.ts'
import { type EngineStatus, statusOf } from './health.ts'
import type { ResolvedOptions } from './options.ts'
import type { Outage } from './outage.ts'
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
  readonly control: Control
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
  const { options, url, tasks, executor, endings, fit, control, onReady, outage, signal } = runtimeOptions
  const { schema, logger, ledger, concurrency } = options
  const { execute } = control
  const names = [...tasks.keys()]
  const kept = ledger && { keepsSuccesses: ledger.successesMs !== false, keepsFailures: ledger.failuresMs !== false }
  const draining = new AbortController()
  const closing = new AbortController()

  const engine = createEngine({
    schema,
    tasks: names,
    concurrency,
    batchSize: options.localQueueSize,
    returnAfterMs: options.localQueueTtlMs,
    pollIntervalMs: options.pollIntervalMs,
    logger
  })
  const claims = createClaims()
  const membership = createMembership({
    options,
    tasks,
    control,
    outage,
    claims,
    engine,
    release: worker => releaseClaims(worker, { control, schema, kept, claims, endings, logger }),
    onHung: distrust
  })
  const connections = openConnections({
    url,
    max: concurrency + EXTRA_CONNECTIONS,
    prepare: options.prepare,
    logger,
    probe: control.probe,
    onHung: distrust
  })
  const listening = watchListening({
    watch: connections.watch,
    onListening() {
      outage.recovered(listening)
      // Notifications of what was scheduled before are lost.
      engine.wake()
    },
    onLost: error => outage.failed(listening, error)
  })
  const upkeep = startUpkeep({ settings: ledger, control, url, schema, logger })
  const runs = createClaimRunner({
    claims,
    tasks,
    executor,
    markStarted: job => outage.outlast(() => markStarted(execute, schema, job, engine.id), closing.signal)
  })
  const claiming = createClaiming({
    options,
    tasks: names,
    kept,
    engine,
    claims,
    endings,
    membership,
    upkeep,
    outage,
    control: execute,
    execute: connections.execute,
    draining: draining.signal,
    closing: closing.signal,
    refuse: runs.refuse,
    onReady
  })
  const cancellations = createCancelWatch({
    schema,
    claims,
    look: ids => findCancelled(execute, schema, ids),
    logger
  })
  const schemaWatch = createSchemaWatch({ execute, schema, onNewer: engine.end, logger })
  const progress = createProgressReporter({
    runs: executor.runs,
    show: news => showRuns(execute, schema, engine.id, news),
    fit,
    logger
  })
  const parts = [claiming, cancellations, schemaWatch, listening, progress, upkeep]

  // What makes one connection hang seldom spares the others.
  function distrust(listenAnew = listening.suspect): void {
    control.replace()
    connections.distrust()
    listenAnew()
  }
  // Another server may have taken over, and what is connected to the old one would not notice.
  const forgetOutage = outage.whenWritable(() => distrust(listening.renew))

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

  let shutting: Promise<void> | undefined
  let closed: Promise<void> | undefined

  async function release(): Promise<number> {
    shutting ??= shut()
    await shutting
    const timeout = setTimeout(RELEASE_TIMEOUT_MS, claims.size, { ref: false })
    const left = await Promise.race([membership.leave(), timeout])
    closed ??= connections.close()
    await closed
    return left
  }

  signal.addEventListener('abort', giveUp)
  try {
    await engine.start({
      connections,
      store: claiming.store,
      outage,
      signal: closing.signal,
      run: runs.run,
      onScheduled: claiming.scheduled,
      onListening: listening.listen,
      onListeningLost: listening.lost,
      onCancelled: cancellations.notified,
      onMigrated: schemaWatch.ask
    })
  } catch (error) {
    await release()
    throw error
  } finally {
    signal.removeEventListener('abort', giveUp)
  }

  return {
    status: statusOf(engine.id, listening, membership),
    ended: Promise.race([
      engine.ended.then(reason => reason && { reason, isDeclaredDead: false }),
      membership.declaredDead.then(() => ({ reason: new Error('it was taken for dead'), isDeclaredDead: true }))
    ]),
    whenIdle: claiming.whenIdle,
    async lookAround() {
      await Promise.all([claiming.lookAround(), upkeep.lookOnce()])
    },
    async stop() {
      draining.abort()
      await engine.stop()
    },
    release
  }
}

/** For the engine's listener, and for completions while every worker's statement is under way. */
const EXTRA_CONNECTIONS = 2

const RELEASE_TIMEOUT_MS = 5_000
