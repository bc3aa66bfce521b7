import { hostname } from 'node:os'
import process from 'node:process'
import type { Lasting } from '../../database/lasting.ts'
import { type Definition, registerDefinitions } from '../../sql/jobs/definitions.ts'
import { releaseForgotten } from '../../sql/worker/control.ts'
import { type Retention, registerWorker, unregisterWorker } from '../../sql/worker/workers.ts'
import { type AnyTask, optionsOf } from '../../task.ts'
import type { Claims } from '../claiming/claims.ts'
import type { Engine } from '../engine/engine.ts'
import type { LedgerSettings, ResolvedOptions } from '../options.ts'
import type { Outage } from '../outage/outage.ts'
import { connectSession, keepAlive, type Liveness } from './heartbeat.ts'
import { createLostFetches } from './lost-fetches.ts'

/** The options of {@linkcode createMembership}. */
export interface MembershipOptions {
  readonly options: ResolvedOptions
  readonly url: string | undefined
  /** The tasks that it runs, by name. */
  readonly tasks: ReadonlyMap<string, AnyTask>
  readonly control: Lasting
  readonly outage: Outage
  readonly claims: Claims
  /** Lets go of all jobs that a worker holds. */
  release(worker: string): Promise<void>
  readonly engine: Pick<Engine, 'id'>
  /** A connection was found to hang. */
  onHung(): void
}

/** A worker among its peers. */
export interface Membership {
  readonly session: Lasting
  readonly liveness: Liveness | undefined
  /** Resolves if its peers have taken it for dead. */
  readonly declaredDead: Promise<void>
  /** Awaited before each fetch: whoever locks jobs is known to its peers. */
  whenMember(): Promise<void>
  /** Puts back what the database may have locked for a fetch whose answer was lost. */
  putBackForgotten(): Promise<void>
  fetchLost(): void
  /** Shows no more that it lives. */
  stop(): Promise<void>
  /** Lets go of all that it holds; with a database that does not answer, that is left to a peer. */
  leave(): Promise<number>
}

/** Keeps a worker in the register of workers, with all that it has locked. */
export function createMembership(membershipOptions: MembershipOptions): Membership {
  const { options, url, tasks, control, outage, claims, engine, release, onHung } = membershipOptions
  const { schema, logger, concurrency, prepare } = options
  const declaredDead = Promise.withResolvers<void>()
  const session = connectSession({ url, prepare, onHung, onClose: () => liveness?.sessionEnded() })
  const closing = new AbortController()
  const lostFetches = createLostFetches()
  let registering: Promise<Liveness> | undefined
  let liveness: Liveness | undefined

  async function register(): Promise<Liveness> {
    closing.signal.throwIfAborted()
    const retention = toRetention(options.ledger)
    await registerDefinitions(control.execute, schema, [...tasks].map(toDefinition))
    await registerWorker(control.execute, schema, {
      id: engine.id,
      host: hostname(),
      pid: process.pid,
      concurrency,
      tasks: [...tasks.keys()],
      retention
    })
    closing.signal.throwIfAborted()
    return keepAlive({
      session,
      control,
      schema,
      id: engine.id,
      maxLosses: options.maxLosses,
      logger,
      outage,
      onDeclaredDead: declaredDead.resolve
    })
  }

  return {
    session,
    get liveness() {
      return liveness
    },
    declaredDead: declaredDead.promise,
    // Whoever locks jobs is registered before, for the jobs of an unknown worker are left alone when it dies; and holds
    // its lock before, for else a task that blocks the event loop would have it taken for dead.
    async whenMember() {
      if (!liveness) {
        registering = register()
        liveness = await registering
      }
      await liveness.whenLocked()
    },
    // Only between two fetches is it certain that what is locked and unknown here is such a job.
    async putBackForgotten() {
      if (!lostFetches.areDue) return
      const count = await releaseForgotten(control.execute, schema, engine.id, idsOf(claims))
      lostFetches.settle()
      if (count > 0) logger.info(`Put back ${count} jobs that a lost connection had left locked`)
    },
    fetchLost: () => lostFetches.add(),
    async stop() {
      closing.abort()
      // The beat learns of it first, or it would take the end of its session for an outage.
      const stopped = liveness?.stop()
      // It may wait for a database that does not answer.
      await session.end()
      await stopped
    },
    async leave() {
      if (!registering) return 0
      try {
        // One that is under way would come after the removal.
        await registering?.catch(() => {})
        if (claims.size > 0 || lostFetches.areThere) await release(engine.id)
        await unregisterWorker(control.execute, schema, engine.id)
        return 0
      } catch (error) {
        logger.debug(`The worker could not let go of its jobs: ${error}`, { error })
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
  const { queue, priority, maxAttempts } = optionsOf(task)
  return { name, queue: queue === null ? null : queue?.name, priority, maxAttempts }
}
