import { untilAborted } from '../../async/abort.ts'
import type { Choice } from '../../sql/flow/choice.ts'
import { holdLimits } from '../../sql/flow/rates.ts'
import type { Kept } from '../../sql/ledger/record.ts'
import type { Execute } from '../../sql/statement.ts'
import { type ClaimedJob, claimJobs, jobsOf } from '../../sql/worker/claim.ts'
import { giveBackJobs } from '../../sql/worker/give-back.ts'
import { settleJobs } from '../../sql/worker/settle.ts'
import { unlockStale } from '../../sql/worker/unlock-stale.ts'
import type { Engine } from '../engine/engine.ts'
import type { JobStore } from '../engine/store.ts'
import type { Claim, Lane } from '../execution/claim.ts'
import type { Outage } from '../outage.ts'
import { type Claims, takeFollowers } from './claims.ts'
import type { Fetch, FetchPolicy } from './fetch-policy.ts'
import type { LaneClaim, Lanes } from './limits/lanes.ts'
import type { Starts } from './limits/starts.ts'
import type { Sequences } from './sequences.ts'
import type { Settlement } from './settle.ts'

/** The options of {@linkcode createJobStore}. */
export interface JobStoreOptions {
  readonly execute: Execute
  readonly schema: string
  /** How many jobs the worker runs at the same time. */
  readonly concurrency: number
  /** The usual size of a fetch. */
  readonly localQueueSize: number
  /** Which runs the ledger keeps. `undefined` records nothing. */
  readonly kept: Kept | undefined
  readonly engine: Pick<Engine, 'id'>
  /** The jobs that the worker may take. */
  readonly choice: Choice
  readonly claims: Claims
  readonly policy: FetchPolicy
  readonly settlement: Settlement
  readonly sequences: Sequences
  readonly lanes: Lanes
  readonly starts: Starts
  readonly outage: Outage
  /** Aborts when the worker fetches no more jobs. */
  readonly draining: AbortSignal
  /** Aborts when the worker releases all its jobs. */
  readonly closing: AbortSignal
  /** Awaited before each fetch. A worker must be registered before it locks jobs. */
  beforeFetch(): Promise<void>
  /** Called with the number of jobs that a fetch has returned, and the number it could have returned. */
  onFetched(count: number, asked: number): void
  /** Called when a fetch has failed. The database may have locked jobs for it. */
  onFetchLost(): void
  onSettled(): void
  /** Ends a claim that the engine has failed without running the job. */
  refuse(claim: Claim, error: Error): Promise<void>
}

/** The store of a worker. The engine uses the part that {@linkcode JobStore} declares. */
export interface ClaimStore extends JobStore {
  /** Writes how the runs of claims ended. */
  settleClaims(ended: readonly Claim[]): Promise<void>
  /** Unlocks jobs that have not begun, and leaves their queues locked. */
  giveBackFollowers(claims: readonly Claim[]): Promise<void>
}

/** Creates the store from which the engine claims jobs, and through which it settles them or gives them back. */
export function createJobStore(options: JobStoreOptions): ClaimStore {
  const { execute, schema, kept, engine, choice, claims, policy, settlement, sequences, lanes, outage } = options
  const { draining, closing } = options
  const givingBack = new Set<Promise<unknown>>()
  /** How many jobs the engine has. */
  let active = 0

  async function claim(): Promise<readonly ClaimedJob[]> {
    // Wait until the worker has given back jobs. If this fetch locked them again first, a repeated statement that gives
    // them back would unlock them while they run.
    await untilAborted(draining, Promise.allSettled(givingBack))
    const most = await settlement.room(draining)
    if (!draining.aborted) await untilAborted(draining, options.beforeFetch())
    const fetch = await policy.begin(most)
    try {
      return draining.aborted ? fetched(fetch, jobsOf([]), NONE) : await claimBoth(fetch)
    } catch (error) {
      policy.failed()
      options.onFetchLost()
      throw error
    }
  }

  /**
   * Claims jobs without limits, and jobs with limits if there seem to be some. If one of the two fails, the jobs of the
   * other are not lost.
   */
  async function claimBoth(fetch: Fetch): Promise<readonly ClaimedJob[]> {
    const early = lanes.areExpected ? settledOf(fromLanes(fetch)) : undefined
    const free = await settledOf(look(fetch, []))
    if (free.status === 'fulfilled') lanes.learn(free.value.rest)
    const limited = await (early ?? settledOf(lanes.areExpected ? fromLanes(fetch) : NONE))
    const failed = [free, limited].find(result => result.status === 'rejected')
    const isNothing = free.status === 'rejected' && (limited.status === 'rejected' || limited.value.firsts.length === 0)
    if (failed && isNothing) throw failed.reason
    if (failed) options.onFetchLost()
    return fetched(
      fetch,
      free.status === 'fulfilled' ? free.value : jobsOf([]),
      limited.status === 'fulfilled' ? limited.value : NONE
    )
  }

  /**
   * Jobs of lanes hold slots that other workers could use. So the worker takes no more than it can run, unless its jobs are so
   * short that it fetches many at once.
   */
  async function fromLanes({ size, queued }: Fetch): Promise<LaneClaim> {
    const room = Math.max(0, options.concurrency - active)
    return await lanes.claim({ slots: size > options.localQueueSize ? size : room, jobs: queued })
  }

  function fetched(fetch: Fetch, { jobs, rest }: ClaimedJobs, limited: LaneClaim): readonly ClaimedJob[] {
    const firsts = [...limited.firsts, ...claims.add(jobs)]
    active += firsts.length
    policy.fetched(
      limited.count === 0 ? jobs : [...jobs, ...new Array(limited.count).fill(LIMITED)],
      rest,
      lanes.areWaiting
    )
    options.onFetched(jobs.length + limited.count, rest.isCut ? jobs.length : fetch.size)
    return firsts
  }

  /** Fetches jobs, and leaves out stuck queues, until it finds jobs or no more queues are stuck. */
  async function look(fetch: Fetch, without: readonly number[]): Promise<ClaimedJobs> {
    const request = { ...fetch, worker: engine.id, choice, without, most: sequences.most }
    const rows = await execute<ClaimedJob>(claimJobs(schema, request))
    const found = jobsOf(rows)
    const { stuck } = found.rest
    return stuck.length > 0 ? await look(fetch, [...without, ...stuck]) : found
  }

  async function settle(ended: readonly Claim[]): Promise<void> {
    await settlement.write(ended, async part => {
      const endings = part.flatMap(({ ending, keepsQueue }) =>
        keepsQueue && ending ? { ...ending, keepsQueue } : (ending ?? [])
      )
      // Before the jobs are free, so that no worker takes them at once.
      if (endings.some(({ next }) => next.kind === 'wait' && next.holds)) {
        await outage.outlast(() => execute(holdLimits(schema, engine.id, endings)), closing)
        lanes.held(part)
      }
      for (const statement of settleJobs(schema, kept, engine.id, endings)) {
        await outage.outlast(() => execute(statement), closing)
      }
      claims.confirm(part)
      policy.settled({
        released: part.flatMap(({ queueId, keepsQueue, lane }) => (keepsQueue || lane ? [] : (queueId ?? []))),
        keepsJobs: endings.some(({ next }) => next.kind !== 'remove')
      })
      options.onSettled()
    })
  }

  async function giveBack(unbegun: readonly Claim[], keepsQueues: boolean): Promise<void> {
    const work = settlement.write(unbegun, async part => {
      const ids = part.map(({ job }) => job.id)
      await outage.outlast(() => execute(giveBackJobs(schema, engine.id, ids, keepsQueues)), closing)
      claims.confirm(part)
      await options.starts.notBegun(part)
      lanes.returned(part)
      // The end of the job before them will tell of the others of a queue that is still locked.
      const free = keepsQueues ? part.filter(({ lane }) => lane) : part
      if (free.length > 0) {
        policy.givenBack(
          free.length,
          free.some(({ queueId, lane }) => queueId !== null && !lane)
        )
      }
      options.onSettled()
    })
    givingBack.add(work)
    try {
      await work
    } finally {
      givingBack.delete(work)
    }
  }

  return {
    claim: () => outage.outlast(claim, draining),
    async settle(jobs) {
      const ended: Claim[] = []
      const over: (Lane | undefined)[] = []
      active -= jobs.length
      for (const { id, error } of jobs) {
        const sequence = sequences.takeEnded(id)
        const alone = sequence ? undefined : claims.of(id)
        // The engine has failed the first job of a sequence without running it.
        if (alone && alone.followers.length > 0) await giveBack(takeFollowers(alone), true)
        over.push((sequence ?? alone)?.lane)
        for (const claim of sequence?.claims ?? (alone ? [alone] : [])) {
          if (!claim.ending) await options.refuse(claim, new Error(error ?? 'The run ended without a result'))
          ended.push(claim)
        }
      }
      await settle(ended)
      lanes.release(over)
    },
    async giveBack(ids) {
      const firsts = ids.flatMap(id => claims.of(id) ?? [])
      active -= ids.length
      await giveBack(
        firsts.flatMap(first => [first, ...takeFollowers(first)]),
        false
      )
      lanes.release(firsts.map(({ lane }) => lane))
    },
    settleClaims: settle,
    giveBackFollowers: claims => giveBack(claims, true),
    async unlockStale() {
      await outage.outlast(() => execute(unlockStale(schema)), draining)
    }
  }
}

/** A fetch of jobs of lanes says nothing about queues. */
const LIMITED = { job_queue_id: null }
const NONE: LaneClaim = { firsts: [], count: 0 }

async function settledOf<Result>(work: Promise<Result> | Result): Promise<PromiseSettledResult<Result>> {
  const [result] = await Promise.allSettled([work])
  return result
}

type ClaimedJobs = ReturnType<typeof jobsOf<ClaimedJob>>
