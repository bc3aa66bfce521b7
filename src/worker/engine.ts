import { setTimeout } from 'node:timers/promises'
import { findCancelled, readCancelNotice } from '../sql/jobs/cancel.ts'
import { showRuns } from '../sql/ledger/live.ts'
import { claimJobs } from '../sql/worker/claim.ts'
import { hasDueJobs, notifyWorkers, workingBackends } from '../sql/worker/control.ts'
import { nextDueTimes } from '../sql/worker/due.ts'
import { unlockAbandoned } from '../sql/worker/locks.ts'
import { findUnknownTasks } from '../sql/worker/unknown-tasks.ts'
import { markStarted } from '../sql/worker/workers.ts'
import { createBatchSizer } from './batch.ts'
import { createCancelWatch } from './cancel.ts'
import { createLookout } from './due.ts'
import { writeFailures } from './failures.ts'
import { completionOf } from './finished.ts'
import { statusOf } from './health.ts'
import { createHeldJobs } from './held.ts'
import { createIdleCheck } from './idle.ts'
import { createInsistence, MOST_WAITING } from './insist.ts'
import type { Engine, EngineOptions } from './life.ts'
import { watchListening } from './listen.ts'
import { createLive } from './live.ts'
import { createMembership } from './membership.ts'
import { createMigrationWatch } from './outdated.ts'
import { createPacer } from './pace.ts'
import { persist } from './persist.ts'
import { EnginePool } from './pool.ts'
import { createQueueWaker } from './queues.ts'
import { letGo } from './release.ts'
import { type Runner, startRunner } from './runner.ts'
import { idsOf, type Settled } from './settled.ts'
import { createSuspects } from './suspects.ts'
import { createUnknownTasks } from './unknown.ts'
import { startUpkeep } from './upkeep.ts'
import { createWatch } from './watch.ts'

/**
 * Starts the engine and joins to it what it lacks: named queues at full speed, jobs on time, a life through lost
 * connections, and peers that take over when the process dies.
 */
export async function startEngine(engineOptions: EngineOptions): Promise<Engine> {
  const { options, url, tasks, executor, ended, fit, control, onReady, outage, signal } = engineOptions
  const { schema, logger, concurrency, prepare } = options
  const { execute } = control
  const names = [...tasks.keys()]
  const held = createHeldJobs()
  const started = Promise.withResolvers<Runner>()
  const id = started.promise.then(runner => runner.id)
  const membership = createMembership({
    options,
    url,
    tasks,
    control,
    outage,
    held,
    id,
    letGo: worker => letGo(worker, { control, schema, executor, ended, logger }),
    onHung: distrust
  })
  const show = async (news: Parameters<typeof showRuns>[3]): Promise<void> => showRuns(execute, schema, await id, news)
  const live = createLive({ runs: executor.runs, show, fit, logger })
  const upkeep = startUpkeep({ settings: options.ledger, control, url, schema, logger })
  const insistence = createInsistence({
    most: MOST_WAITING,
    mend: upkeep.mend,
    strip(job, error, refusals) {
      executor.stripOutcome(job, error)
      return ended ? ended.strip(job, error) : refusals === 1
    },
    logger
  })
  let runner: Runner | undefined
  let shutting: Promise<void> | undefined
  let closed: Promise<void> | undefined

  const wake = (): void => runner?.wake()
  const isHungry = (): boolean => runner?.isHungry ?? true
  const idle = createIdleCheck({
    // What a fetch under way has locked would seem to another to be looked after.
    isIdle: () => held.size === 0 && !pool.isFetching,
    hasSuspects: () => membership.liveness?.hasSuspects ?? true,
    hasDueJobs: () => hasDueJobs(execute, schema, names, runner?.id ?? ''),
    wake
  })
  const pacer = createPacer(options.pollIntervalMs)
  const waker = createQueueWaker({
    isHungry,
    hurry: pacer.hurry,
    wake,
    wakeOthers: count => void notifyWorkers(execute, count).catch(error => logger.debug(`Cannot wake others: ${error}`))
  })
  const sizer = createBatchSizer({
    concurrency,
    least: options.localQueueSize,
    most: options.maxLocalQueueSize,
    resize: size => runner?.resizeBatch(size)
  })
  const lookout = createLookout({
    look: withinMs => nextDueTimes(execute, schema, names, withinMs),
    wake() {
      pacer.hurry()
      wake()
    },
    isHungry,
    intervalMs: options.pollIntervalMs,
    logger
  })
  const unknown = createUnknownTasks({ find: () => findUnknownTasks(execute, schema, names), logger })
  const closing = new AbortController()
  const suspects = createSuspects(job =>
    persist(() => markStarted(execute, schema, job, runner?.id ?? ''), { outage, signal: closing.signal })
  )
  const listener = {}
  const listening = watchListening({
    onListening() {
      outage.recovered(listener)
      // What was scheduled before it listened was heard by nobody.
      wake()
    },
    onHung: distrust,
    onLost: error => outage.failed(listener, error)
  })
  const watch = createWatch({ findWorking: backends => workingBackends(membership.session.execute, backends), logger })
  const migrations = createMigrationWatch({
    execute,
    schema,
    onNewer: reason => runner?.end(reason),
    logger
  })
  const cancels = createCancelWatch({
    held: () => held.ids(),
    look(ids) {
      executor.keepCancelled(held.has)
      return findCancelled(execute, schema, ids)
    },
    cancel: executor.cancel,
    logger
  })
  const pool = new EnginePool({
    url,
    max: concurrency + EXTRA_CONNECTIONS,
    prepare,
    logger,
    outage,
    watch,
    onHung: distrust,
    claim: (worker, size, without) => claimJobs(schema, { worker, tasks: names, size, without }),
    complete: statement => completionOf(schema, statement, runner?.id ?? '', ended),
    insist: insistence.insist,
    unlock: unlockAbandoned(schema),
    fail: (statement, execute) => writeFailures(execute, schema, statement, executor.outcomes, ended),
    onSettled,
    beforeFetch,
    onFetchLost: membership.fetchLost
  })

  // What makes one connection hang seldom spares the others.
  function distrust(listenAnew = listening.suspect): void {
    control.replace()
    pool.distrust()
    listenAnew()
  }
  // Another server may have taken over, and what is connected to the old one would not notice.
  const forgetOutage = outage.whenWritable(() => distrust(listening.renew))

  function onSettled(statement: Settled): void {
    held.settle(statement)
    waker.settled(statement)
    if (statement.kind === 'return') sizer.returned()
    if (ended && (statement.kind === 'complete' || statement.kind === 'fail')) upkeep.recorded()
    if (statement.kind === 'fail') {
      for (const id of idsOf(statement)) executor.outcomes.delete(id)
      lookout.refresh()
    }
    for (const id of idsOf(statement)) {
      ended?.forget(id)
      executor.finished.forget(id)
    }
    if (held.size === 0) idle.check()
  }

  async function beforeFetch(draining: AbortSignal): Promise<void> {
    draining.addEventListener('abort', pacer.hurry)
    await insistence.whenFew(draining)
    await membership.whenMember()
    onReady()
    await pacer.turn()
    await membership.putBackForgotten()
    sizer.fetching()
  }

  async function shut(): Promise<void> {
    lookout.stop()
    unknown.stop()
    cancels.stop()
    migrations.stop()
    listening.stop()
    watch.stop()
    live.stop()
    upkeep.stop()
    pool.giveUp()
    closing.abort()
    outage.forget(listener)
    forgetOutage()
    await membership.stop()
  }

  async function release(id: string): Promise<number> {
    shutting ??= shut()
    await shutting
    const left = await Promise.race([membership.leave(id), setTimeout(LET_GO_TIMEOUT_MS, held.size, { ref: false })])
    closed ??= pool.close()
    await closed
    return left
  }

  async function start(): Promise<Runner> {
    const giveUp = (): void => pool.giveUp()
    signal.addEventListener('abort', giveUp)
    try {
      return await startRunner({
        pool,
        schema,
        tasks,
        run: (task, payload, helpers) =>
          suspects.run(helpers.job, mark => executor.execute(task, payload, helpers, mark)),
        concurrency,
        localQueueSize: options.localQueueSize,
        localQueueTtlMs: options.localQueueTtlMs,
        pollIntervalMs: options.pollIntervalMs,
        logger,
        onFetched(jobs, asked) {
          for (const job of jobs) held.add(job.id)
          pacer.fetched(jobs)
          waker.fetched(jobs)
          sizer.fetched(jobs)
          if (jobs.length < asked) unknown.fetchedAll()
          if (jobs.length === 0) lookout.refresh()
          else if (jobs.length < asked) lookout.catchUp()
          if (held.size === 0) idle.check()
        },
        onScheduled() {
          pacer.scheduled()
          lookout.refresh()
        },
        onCancelled(notice) {
          // Anybody can send one. It is a reason to look at the marks, and nothing more.
          if (notice === undefined || held.has(readCancelNotice(notice, schema) ?? '')) cancels.refresh()
        },
        onMigrated: migrations.ask,
        onListening: client => listening.listen(client),
        onListeningLost: error => listening.lost(error)
      })
    } catch (error) {
      await shut()
      await pool.close()
      throw error
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }

  const running = await start()
  runner = running
  started.resolve(running)
  return {
    status: statusOf(running.id, listening, membership),
    ended: Promise.race([
      running.ended.then(reason => reason && { reason, isDeclaredDead: false }),
      membership.declaredDead
    ]),
    whenIdle: idle.whenIdle,
    async lookAround() {
      await Promise.all([unknown.look(), upkeep.lookOnce()])
    },
    async stop() {
      pool.drain()
      await running.stop()
    },
    release: () => release(running.id)
  }
}

/** For the engine's listener, and for completions while every worker's statement is under way. */
const EXTRA_CONNECTIONS = 2
const LET_GO_TIMEOUT_MS = 5_000
