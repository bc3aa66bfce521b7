import { setTimeout } from 'node:timers/promises'
import { workerTimings } from '../rules/timings.ts'
import { findCancelled } from '../sql/jobs/cancel.ts'
import { showRuns } from '../sql/ledger/live.ts'
import { markStarted } from '../sql/worker/rescue.ts'
import type { AnyTask } from '../task.ts'
import { createCancelWatch } from './cancellations.ts'
import { toChoice } from './choice.ts'
import { createClaiming } from './claiming/claiming.ts'
import { createClaims } from './claiming/claims.ts'
import { createClaimRunner } from './claiming/run-claims.ts'
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
import type { OwnConnections } from './own-connections.ts'
import { createMembership } from './peers/membership.ts'
import { releaseClaims } from './peers/release.ts'
import { createRecurringClock } from './recurring/clock.ts'
import type { DeclaredJobs } from './recurring/code.ts'
import { createDeployment } from './recurring/deploy.ts'
import { createSchemaWatch } from './schema-version.ts'
import { startUpkeep } from './upkeep.ts'

/** The options of {@linkcode startRuntime}. */
export interface RuntimeOptions {
  readonly options: ResolvedOptions
  readonly url: string | undefined
  readonly tasks: ReadonlyMap<string, AnyTask>
  /** The recurring jobs that the code declares. */
  readonly declared: DeclaredJobs
  readonly executor: Executor
  readonly endings: Endings
  /** Makes text fit the database. */
  readonly fit: Fit
  /** For the worker's own statements, so that they never wait behind the engine's. */
  readonly ownConnections: OwnConnections
  /** Called before each fetch: it is connected, and known to its peers. */
  onReady(): void
  readonly outage: Outage
  /** Aborts a start that waits for the database. */
  readonly signal: AbortSignal
}

/** The engine and the parts that work with it. Together they have one entry in the table of workers. */
export interface Runtime {
  readonly status: EngineStatus
  /** Resolves when the runtime has ended; with the reason if nothing called `stop`. */
  readonly ended: Promise<RuntimeEnd | undefined>
  /** Resolves once the worker holds no job and none is due. */
  whenIdle(): Promise<void>
  /** Stops fetching, gives back prefetched jobs and resolves when the running jobs have ended. */
  stop(): Promise<void>
  /** Does the upkeep once, for a worker that ends before its first round of upkeep. Call it before `release`. */
  runUpkeep(): Promise<void>
  /**
   * Releases the jobs that the worker still holds, so that other workers run them, and closes the connections. Returns
   * how many jobs it could not release because the database did not answer. You may call it again; otherwise another
   * worker rescues these jobs, as it does when a worker dies.
   */
  release(): Promise<number>
}

/** Why a runtime ended although nothing called `stop`. */
export interface RuntimeEnd {
  readonly reason: Error
  /** Whether other workers have taken over its running jobs. */
  readonly isDeclaredDead: boolean
}

/** Creates the parts of a worker and starts them. */
export async function startRuntime(runtimeOptions: RuntimeOptions): Promise<Runtime> {
  const { options, url, tasks, declared, executor, endings, fit, ownConnections, onReady, outage, signal } =
    runtimeOptions
  const { schema, logger, ledger, concurrency } = options
  const { execute } = ownConnections
  const choice = toChoice(tasks, options.queues)
  const kept = ledger && { keepsSuccesses: ledger.successesMs !== false, keepsFailures: ledger.failuresMs !== false }
  const draining = new AbortController()
  const closing = new AbortController()

  const engine = createEngine({
    schema,
    tasks: choice.tasks,
    concurrency,
    batchSize: options.localQueueSize,
    giveBackAfterMs: options.localQueueTtlMs,
    pollIntervalMs: options.pollIntervalMs,
    logger
  })
  const claims = createClaims()
  const membership = createMembership({
    options,
    tasks,
    choice,
    ownConnections,
    outage,
    claims,
    engine,
    release: worker => releaseClaims(worker, { connections: ownConnections, schema, kept, claims, endings, logger }),
    onHung: reconnect
  })
  const connections = openConnections({
    url,
    max: concurrency + EXTRA_CONNECTIONS,
    prepare: options.prepare,
    logger,
    probe: ownConnections.probe,
    onHung: reconnect
  })
  const listening = watchListening({
    watch: connections.watch,
    onListening() {
      outage.recovered(listening)
      // Notifications of jobs that were scheduled before are lost.
      engine.wake()
      cancellations.notified(undefined)
    },
    onLost: error => outage.failed(listening, error)
  })
  const upkeep = startUpkeep({ settings: ledger, connections: ownConnections, url, schema, logger })
  const runner = createClaimRunner({
    tasks,
    executor,
    markStarted: job => outage.outlast(() => markStarted(execute, schema, job, engine.id), closing.signal)
  })
  const recurring = createRecurringClock({ execute, schema, logger })
  const deployment = createDeployment({ declared, connections: ownConnections, schema, logger })
  const claiming = createClaiming({
    options,
    choice,
    tasks,
    kept,
    engine,
    claims,
    endings,
    membership,
    upkeep,
    outage,
    executeOwn: execute,
    execute: connections.execute,
    draining: draining.signal,
    closing: closing.signal,
    runner,
    recurring,
    onReady() {
      deployment.begin(engine.id)
      onReady()
    }
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
  const parts = [claiming, recurring, deployment, cancellations, schemaWatch, listening, progress, upkeep]

  // If one connection hangs, the others probably hang, too.
  function reconnect(): void {
    ownConnections.replace()
    connections.closeIdle()
    listening.renew()
  }
  // Another server may have taken over. Connections to the old server would not notice.
  const forgetOutage = outage.whenWritable(reconnect)

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
    const timeout = setTimeout(workerTimings.releaseMs, claims.size, { ref: false })
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
      signal: draining.signal,
      run: claiming.run,
      onScheduled: claiming.scheduled,
      onListening: listening.listen,
      onListeningLost: listening.lost,
      onCancelled: cancellations.notified,
      onRecurring: recurring.notified,
      onLimits: claiming.limitsChanged,
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
      membership.declaredDead.then(() => ({ reason: new Error('a peer declared it dead'), isDeclaredDead: true }))
    ]),
    whenIdle: claiming.whenIdle,
    async runUpkeep() {
      await Promise.all([claiming.warnOfUnknownTasks(), upkeep.runOnce()])
    },
    async stop() {
      draining.abort()
      await engine.stop()
    },
    release
  }
}

/** One for the engine's listener, and one for completions while all other connections are in use. */
const EXTRA_CONNECTIONS = 2
