import { limitsOf } from '../../limit/lane.ts'
import type { Logger } from '../../logger.ts'
import type { Choice } from '../../sql/flow/choice.ts'
import type { Kept } from '../../sql/ledger/record.ts'
import type { Execute } from '../../sql/statement.ts'
import { hasDueJobs, nextDueTimes } from '../../sql/worker/due.ts'
import { notifyWorkers } from '../../sql/worker/notify.ts'
import { findUnknownTasks } from '../../sql/worker/unknown-tasks.ts'
import { type AnyTask, optionsOf } from '../../task.ts'
import type { Engine } from '../engine/engine.ts'
import type { JobStore } from '../engine/store.ts'
import type { Claim } from '../execution/claim.ts'
import type { Endings } from '../execution/ending.ts'
import type { ResolvedOptions } from '../options.ts'
import type { Outage } from '../outage.ts'
import type { Membership } from '../peers/membership.ts'
import type { RecurringClock } from '../recurring/clock.ts'
import type { Upkeep } from '../upkeep.ts'
import type { Claims } from './claims.ts'
import { createFetchPolicy } from './fetch-policy.ts'
import { createIdleCheck } from './idle.ts'
import { createFiling } from './limits/filing.ts'
import { createLanes } from './limits/lanes.ts'
import { createStarts } from './limits/starts.ts'
import { createWeights } from './limits/weights.ts'
import type { ClaimRunner } from './run-claims.ts'
import { createSequences } from './sequences.ts'
import { createSettlement } from './settle.ts'
import { createJobStore } from './store.ts'
import { createUnknownTasks } from './unknown-tasks.ts'

/** The options of {@linkcode createClaiming}. */
export interface ClaimingOptions {
  readonly options: ResolvedOptions
  /** The jobs that the worker may take. */
  readonly choice: Choice
  /** Its tasks, by name. */
  readonly tasks: ReadonlyMap<string, AnyTask>
  /** Which runs the ledger keeps. `undefined` records nothing. */
  readonly kept: Kept | undefined
  readonly engine: Engine
  readonly claims: Claims
  readonly endings: Endings
  readonly membership: Membership
  readonly upkeep: Upkeep
  readonly outage: Outage
  /** Runs the worker's own statements, which must not wait behind the statements of jobs. */
  readonly executeOwn: Execute
  /** Runs the statements of jobs. */
  readonly execute: Execute
  /** Aborts when the worker fetches no more jobs. */
  readonly draining: AbortSignal
  /** Aborts when the worker releases all its jobs. */
  readonly closing: AbortSignal
  readonly runner: ClaimRunner
  /** Schedules recurring jobs. It hears of the next occurrence with each look for jobs that come due. */
  readonly recurring: Pick<RecurringClock, 'expect' | 'unfit'>
  /** Called before each fetch, once the worker is connected and registered. */
  onReady(): void
}

/** Decides when to fetch jobs, fetches them, and writes how they ended. */
export interface Claiming {
  readonly store: JobStore
  /** Runs a claimed job, and the jobs of the same queue that were claimed with it. */
  run(job: string): Promise<void>
  /** Call when a notification of new jobs arrives. Any login can send one. */
  scheduled(): void
  /** Call when a notification of changed limits arrives. Any login can send one. */
  limitsChanged(): void
  /** Resolves once the worker holds no job and none is due. */
  whenIdle(): Promise<void>
  /** Warns now about jobs that no worker will run. */
  warnOfUnknownTasks(): Promise<void>
  stop(): void
}

/** Creates the parts that decide about fetches and the part that carries them out. */
export function createClaiming(claiming: ClaimingOptions): Claiming {
  const { options, choice, engine, claims, membership, upkeep, runner, recurring, executeOwn, draining, closing } =
    claiming
  const { schema, logger } = options
  const policy = createFetchPolicy({
    options,
    engine,
    wakeOthers: count => wakeOthers(executeOwn, count, logger),
    async look(withinMs) {
      const { jobs, occurrence } = await nextDueTimes(executeOwn, schema, choice, withinMs)
      recurring.expect(occurrence)
      return jobs
    },
    onDue: () => lanes.look(),
    logger
  })
  const idle = createIdleCheck({
    // During a fetch, a job that it has just locked would seem to belong to another worker.
    isIdle: () => claims.size === 0 && policy.state !== 'fetching',
    hasSuspects: () => membership.liveness?.hasSuspects ?? true,
    hasDueJobs: () => hasDueJobs(executeOwn, schema, { worker: engine.id, choice, without: recurring.unfit }),
    wake: engine.wake
  })
  const unknownTasks = createUnknownTasks({ find: () => findUnknownTasks(executeOwn, schema, choice.tasks), logger })
  const settlement = createSettlement({
    mend: upkeep.mend,
    strip: claiming.endings.strip,
    logger,
    signal: closing
  })
  const insist = (work: () => Promise<unknown>): Promise<unknown> => claiming.outage.outlast(work, closing)
  const starts = createStarts({ execute: claiming.execute, schema, engine, insist })
  const sequences = createSequences({
    giveBackAfterMs: options.localQueueTtlMs,
    perform,
    settle: ended => store.settleClaims(ended),
    giveBack: unbegun => store.giveBackFollowers(unbegun),
    mayBegin: claim => lanes.mayBegin(claim),
    draining
  })
  const lanes = createLanes({
    execute: claiming.execute,
    schema,
    engine,
    choice,
    claims,
    most: sequences.most,
    pollIntervalMs: options.pollIntervalMs,
    file: createFiling({ execute: claiming.execute, schema, tasks: claiming.tasks, choice, logger }),
    insist,
    limitsOf: task => limitsOf(task, optionsOf(claiming.tasks.get(task)).limit),
    weightOf: createWeights(claiming.tasks, logger),
    onReady: policy.ready,
    onFreed: policy.freed
  })
  const store = createJobStore({
    ...claiming,
    schema,
    concurrency: options.concurrency,
    localQueueSize: options.localQueueSize,
    lanes,
    starts,
    policy,
    settlement,
    sequences,
    refuse: runner.refuse,
    async beforeFetch() {
      await membership.whenMember()
      claiming.onReady()
      if (await membership.releaseForgotten()) await lanes.recover()
    },
    onFetched(count, asked) {
      if (count < asked) unknownTasks.fetchedAll()
      if (claims.size === 0) idle.check()
    },
    onFetchLost: membership.fetchLost,
    onSettled() {
      if (claiming.kept) upkeep.recorded()
      if (claims.size === 0) idle.check()
    }
  })

  function perform(claim: Claim): Promise<void> {
    return claim.lane ? performLimited(claim) : runner.perform(claim)
  }

  async function performLimited(claim: Claim): Promise<void> {
    if (claim.counted) claim.onBegin = () => starts.begin(claim)
    await runner.perform(claim)
    await starts.notBegun([claim])
    const next = claim.ending?.next
    if (next?.kind === 'wait' && next.holds) lanes.hold(claim, next.holds)
  }

  draining.addEventListener('abort', policy.drain)
  return {
    store,
    run(job) {
      const claim = claims.of(job)
      if (!claim) throw new Error(`Cannot run job ${job}: it has no claim`)
      return sequences.run(claim)
    },
    scheduled() {
      lanes.expect()
      policy.scheduled()
    },
    limitsChanged: lanes.changed,
    whenIdle: idle.whenIdle,
    warnOfUnknownTasks: unknownTasks.look,
    stop() {
      policy.stop()
      lanes.stop()
      unknownTasks.stop()
    }
  }
}

function wakeOthers(execute: Execute, count: number, logger: Logger): void {
  notifyWorkers(execute, count).catch(error => logger.debug(`Cannot wake other workers: ${error}`))
}
