import { hostname } from 'node:os'
import process from 'node:process'
import { limitsOf, limitsOfQueue } from '../../limit/lane.ts'
import type { Retention } from '../../rules/retention.ts'
import type { Choice } from '../../sql/flow/choice.ts'
import { registerLimits } from '../../sql/flow/limits.ts'
import { type Definition, registerDefinitions } from '../../sql/jobs/definitions.ts'
import { registerWorker, unregisterWorker } from '../../sql/worker/registration.ts'
import { releaseForgotten } from '../../sql/worker/release.ts'
import { type AnyTask, optionsOf } from '../../task.ts'
import type { Claims } from '../claiming/claims.ts'
import type { Engine } from '../engine/engine.ts'
import type { LedgerSettings, ResolvedOptions } from '../options.ts'
import type { Outage } from '../outage.ts'
import type { OwnConnections } from '../own-connections.ts'
import { reportPauses } from '../pauses.ts'
import { keepAlive, type Liveness } from './heartbeat.ts'
import { createLostFetches } from './lost-fetches.ts'

/** The options of {@linkcode createMembership}. */
export interface MembershipOptions {
  readonly options: ResolvedOptions
  /** The tasks that it runs, by name. */
  readonly tasks: ReadonlyMap<string, AnyTask>
  /** The jobs that it may take. */
  readonly choice: Choice
  readonly ownConnections: OwnConnections
  readonly outage: Outage
  readonly claims: Claims
  /** Releases all jobs that a worker holds. */
  release(worker: string): Promise<void>
  readonly engine: Pick<Engine, 'id'>
  /** Called when the connection hangs. */
  onHung(): void
}

/** The entry of a worker in the table of workers. */
export interface Membership {
  readonly liveness: Liveness | undefined
  /** Resolves if a peer has declared the worker dead. */
  readonly declaredDead: Promise<void>
  /** Awaited before each fetch. Resolves when the worker is registered and holds its lock. */
  whenMember(): Promise<void>
  /**
   * Releases jobs that the database may have locked for a fetch whose answer was lost. Call this only between two
   * fetches. During a fetch, a newly locked job is not known here yet, and would be released by mistake. Returns whether it has looked.
   */
  releaseForgotten(): Promise<boolean>
  /** Call when the answer to a fetch was lost. */
  fetchLost(): void
  /** Ends the heartbeat. */
  stop(): Promise<void>
  /**
   * Releases all jobs and removes the entry. If the database does not answer, a peer does this later. Returns how many
   * jobs are still locked.
   */
  leave(): Promise<number>
}

/** Creates the membership of a worker. The worker is registered before its first fetch. */
export function createMembership(membershipOptions: MembershipOptions): Membership {
  const { options, tasks, choice, ownConnections, outage, claims, engine, release, onHung } = membershipOptions
  const { schema, logger, concurrency } = options
  const declaredDead = Promise.withResolvers<void>()
  const onLost = (): void => liveness?.sessionEnded()
  const session = ownConnections.open('kretes worker lock', 1, {
    prepare: options.prepare,
    isLasting: true,
    onHung,
    onLost
  })
  const closing = new AbortController()
  const lostFetches = createLostFetches()
  let registering: Promise<Liveness> | undefined
  let liveness: Liveness | undefined

  async function register(): Promise<Liveness> {
    closing.signal.throwIfAborted()
    const retention = toRetention(options.ledger)
    await registerDefinitions(ownConnections.execute, schema, [...tasks].map(toDefinition))
    await registerLimits(
      ownConnections.execute,
      schema,
      [...tasks].flatMap(([name, task]) => {
        const { limit, queue } = optionsOf(task)
        return [...limitsOf(name, limit), ...limitsOfQueue(queue)]
      })
    )
    await registerWorker(ownConnections.execute, schema, {
      id: engine.id,
      host: hostname(),
      pid: process.pid,
      concurrency,
      choice,
      retention
    })
    await reportPauses(ownConnections.execute, schema, choice, logger)
    closing.signal.throwIfAborted()
    return keepAlive({
      session,
      connections: ownConnections,
      schema,
      id: engine.id,
      maxLosses: options.maxLosses,
      logger,
      outage,
      onDeclaredDead: declaredDead.resolve
    })
  }

  return {
    get liveness() {
      return liveness
    },
    declaredDead: declaredDead.promise,
    // A worker must be registered before it locks jobs, because peers do not rescue the jobs of an unknown worker. It
    // must hold its lock, too; otherwise peers would declare it dead when a task blocks the event loop.
    async whenMember() {
      if (!liveness) {
        registering = register()
        liveness = await registering
      }
      await liveness.whenLocked()
    },
    async releaseForgotten() {
      if (!lostFetches.areDue) return false
      const count = await releaseForgotten(ownConnections.execute, schema, engine.id, idsOf(claims))
      lostFetches.settle()
      if (count > 0) logger.info(`Unlocked ${count} jobs that a lost connection had left locked`)
      return true
    },
    fetchLost: () => lostFetches.add(),
    async stop() {
      closing.abort()
      // Stop the heartbeat first; otherwise it would take the end of its session for an outage.
      const stopped = liveness?.stop()
      // The session ends before the heartbeat is awaited, since that may wait for a database that does not answer.
      await session.end()
      await stopped
    },
    async leave() {
      if (!registering) return 0
      try {
        // A registration that is under way must not happen after the removal.
        await registering?.catch(() => {})
        if (claims.size > 0 || lostFetches.areThere) await release(engine.id)
        await unregisterWorker(ownConnections.execute, schema, engine.id)
        return 0
      } catch (error) {
        logger.debug(`Cannot release the jobs of this worker: ${error}`, { error })
        return claims.size
      }
    }
  }
}

function idsOf(claims: Claims): string[] {
  return [...claims.all()].map(({ job }) => job.id)
}

function toRetention(ledger: LedgerSettings | undefined): Retention | null {
  return ledger ? { successesMs: ledger.successesMs, failuresMs: ledger.failuresMs } : null
}

function toDefinition([name, task]: [string, AnyTask]): Definition {
  const { queue, priority, maxAttempts, version, limit } = optionsOf(task)
  const limits = limit && limitsOf(name, limit).map(({ name }) => name)
  return {
    name,
    queue: queue === null ? null : queue?.name,
    queueConcurrency: queue?.concurrency,
    priority,
    maxAttempts,
    version,
    limits
  }
}
