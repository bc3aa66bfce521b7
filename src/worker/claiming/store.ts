import { untilAborted } from '../../async/abort.ts'
import type { Choice } from '../../sql/flow/choice.ts'
import type { Kept } from '../../sql/ledger/record.ts'
import type { Execute } from '../../sql/statement.ts'
import { type ClaimedJob, claimJobs, jobsOf } from '../../sql/worker/claim.ts'
import { giveBackJobs } from '../../sql/worker/give-back.ts'
import { settleJobs } from '../../sql/worker/settle.ts'
import { unlockStale } from '../../sql/worker/unlock-stale.ts'
import type { Engine } from '../engine/engine.ts'
import type { JobStore } from '../engine/store.ts'
import type { Claim } from '../execution/claim.ts'
import type { Outage } from '../outage.ts'
import type { Claims } from './claims.ts'
import type { Fetch, FetchPolicy } from './fetch-policy.ts'
import type { Sequences } from './sequences.ts'
import type { Settlement } from './settle.ts'

/** The options of {@linkcode createJobStore}. */
export interface JobStoreOptions {
  readonly execute: Execute
  readonly schema: string
  /** Which runs the ledger keeps. `undefined` records nothing. */
  readonly kept: Kept | undefined
  readonly engine: Pick<Engine, 'id'>
  /** The jobs that the worker may take. */
  readonly choice: Choice
  readonly claims: Claims
  readonly policy: FetchPolicy
  readonly settlement: Settlement
  readonly sequences: Sequences
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
  const { execute, schema, kept, engine, choice, claims, policy, settlement, sequences, outage } = options
  const { draining, closing } = options
  const givingBack = new Set<Promise<unknown>>()

  async function claim(): Promise<readonly ClaimedJob[]> {
    // Wait until the worker has given back jobs. If this fetch locked them again first, a repeated statement that gives
    // them back would unlock them while they run.
    await untilAborted(draining, Promise.allSettled(givingBack))
    const most = await settlement.room(draining)
    if (!draining.aborted) await untilAborted(draining, options.beforeFetch())
    const fetch = await policy.begin(most)
    try {
      const { jobs, rest } = draining.aborted ? jobsOf<ClaimedJob>([]) : await look(fetch, [])
      const firsts = claims.add(jobs)
      policy.fetched(jobs, rest)
      options.onFetched(jobs.length, rest.isCut ? jobs.length : fetch.size)
      return firsts
    } catch (error) {
      policy.failed()
      options.onFetchLost()
      throw error
    }
  }

  /** Fetches jobs, and leaves out stuck queues, until it finds jobs or no more queues are stuck. */
  async function look(fetch: Fetch, without: readonly number[]): Promise<ReturnType<typeof jobsOf<ClaimedJob>>> {
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
      for (const statement of settleJobs(schema, kept, engine.id, endings)) {
        await outage.outlast(() => execute(statement), closing)
      }
      claims.confirm(part)
      policy.settled({
        released: part.flatMap(({ queueId, keepsQueue }) => (keepsQueue ? [] : (queueId ?? []))),
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
      // The end of the job before them will tell of the others of a queue that is still locked.
      if (!keepsQueues) {
        policy.givenBack(
          ids.length,
          part.some(({ queueId }) => queueId !== null)
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
      for (const { id, error } of jobs) {
        const sequence = sequences.takeEnded(id)
        const alone = sequence ? undefined : claims.of(id)
        // The engine has failed the first job of a sequence without running it.
        if (alone && alone.followers.length > 0) await giveBack(alone.followers, true)
        for (const claim of sequence ?? (alone ? [alone] : [])) {
          if (!claim.ending) await options.refuse(claim, new Error(error ?? 'The run ended without a result'))
          ended.push(claim)
        }
      }
      await settle(ended)
    },
    async giveBack(ids) {
      const firsts = ids.flatMap(id => claims.of(id) ?? [])
      await giveBack(
        firsts.flatMap(first => [first, ...first.followers]),
        false
      )
    },
    settleClaims: settle,
    giveBackFollowers: claims => giveBack(claims, true),
    async unlockStale() {
      await outage.outlast(() => execute(unlockStale(schema)), draining)
    }
  }
}
