import { setTimeout } from 'node:timers/promises'
import { repeat } from '../../async/repeat.ts'
import { isTransientFailure } from '../../database/failure.ts'
import type { Logger } from '../../logger.ts'
import { peerTimings } from '../../rules/timings.ts'
import type { Connections } from '../../sql/statement.ts'
import { beat } from '../../sql/worker/heartbeat.ts'
import type { Outage } from '../outage.ts'
import type { OwnPool } from '../own-connections.ts'
import { createRescuer } from './rescue.ts'

/** What {@linkcode keepAlive} takes. */
export interface LivenessOptions {
  /** One connection that is used for nothing else: the worker's lock lives in its session. */
  readonly session: OwnPool
  readonly connections: Connections
  readonly schema: string
  /** The id under which the engine locks jobs. */
  readonly id: string
  /** How many workers may be lost with a job before it fails for good. */
  readonly maxLosses: number
  readonly logger: Logger
  readonly outage: Outage
  /** Called when a peer has declared this worker dead and given its jobs to other workers. */
  onDeclaredDead(): void
}

/** The heartbeat of a worker. It also rescues the jobs of dead workers. */
export interface Liveness {
  /** When the last heartbeat reached the database. */
  readonly lastBeatAt: Date
  /** Whether the last heartbeat is recent enough. */
  readonly isBeating: boolean
  /** Whether a peer may be dead, and this worker must still wait before it rescues the peer's jobs. */
  readonly hasSuspects: boolean
  /** Resolves when the session holds the lock. A task may block the event loop while it does. */
  whenLocked(): Promise<void>
  /** Call when the session has ended, which released the lock. The worker takes the lock again at once. */
  sessionEnded(): void
  stop(): Promise<void>
}

/**
 * A worker is dead if its last heartbeat is old **and** its lock is free. While a task blocks the event loop there are
 * no heartbeats, but the kernel keeps the connection and so the lock. When a connection breaks, the lock is free for a
 * moment, but the last heartbeat is recent.
 *
 * A worker may declare another one dead only after it has sent heartbeats without a break for a while. After an outage
 * of the database all locks are free and all heartbeats are old, until all workers have reconnected.
 */
export function keepAlive(options: LivenessOptions): Liveness {
  const { session, schema, id, logger, outage, onDeclaredDead } = options
  const stopping = new AbortController()
  const caller = {}
  const rescuer = createRescuer(options)
  let isBroken = false
  let locked = Promise.withResolvers<void>()
  let isLocked = false
  let pausing = new AbortController()
  let lastBeatAt = new Date()
  let lastBeatMs = performance.now()
  let judgesFromMs = lastBeatMs + peerTimings.staleAfterMs
  // True until the first round.
  let hasSuspects = true

  async function round(): Promise<void> {
    const { isRegistered, isLocked: isLockedNow, stale } = await beat(session.execute, schema, id, peerTimings)
    if (stopping.signal.aborted) return
    isLocked = isLockedNow
    if (isLocked) locked.resolve()
    if (!isRegistered) {
      logger.error('This worker was declared dead, and its jobs were given to other workers', {
        event: 'worker.declared-dead'
      })
      onDeclaredDead()
      stopping.abort()
      return
    }
    const nowMs = performance.now()
    // The database was unavailable, or this process or its machine stood still. Other workers need time to come back.
    if (isBroken || nowMs - lastBeatMs > peerTimings.staleAfterMs) judgesFromMs = nowMs + peerTimings.returnMs
    isBroken = false
    lastBeatMs = nowMs
    lastBeatAt = new Date()
    const isJudge = nowMs >= judgesFromMs
    if (isJudge) for (const other of stale) await rescuer.rescue(other)
    hasSuspects = stale.length > 0 && !isJudge
    outage.recovered(caller)
  }

  async function live(): Promise<void> {
    const retries = { leastMs: peerTimings.lockEveryMs, mostMs: peerTimings.lockEveryMs }
    while (!stopping.signal.aborted) {
      await repeat(round, { signal: stopping.signal, pauses: retries, onFailure: failed }).catch(() => {})
      if (stopping.signal.aborted) break
      pausing = new AbortController()
      const { signal } = pausing
      const pauseMs = isLocked ? peerTimings.beatEveryMs : peerTimings.lockEveryMs
      await setTimeout(pauseMs, undefined, { signal }).catch(() => {})
    }
    outage.forget(caller)
    locked.resolve()
  }

  function failed(error: unknown): void {
    isBroken = true
    unlock()
    if (isTransientFailure(error)) outage.failed(caller, error)
    else logger.warn(`Cannot send a heartbeat: ${error}`, { error })
  }

  function unlock(): void {
    if (isLocked) locked = Promise.withResolvers()
    isLocked = false
  }

  const living = live()
  return {
    get lastBeatAt() {
      return lastBeatAt
    },
    get hasSuspects() {
      return hasSuspects
    },
    get isBeating() {
      return !stopping.signal.aborted && performance.now() - lastBeatMs < peerTimings.staleAfterMs
    },
    whenLocked: () => locked.promise,
    sessionEnded() {
      if (!isLocked) return
      unlock()
      pausing.abort()
    },
    async stop() {
      stopping.abort()
      pausing.abort()
      // The worker may be rescuing the jobs of a dead peer. The stop does not wait for that.
      await Promise.race([living, setTimeout(peerTimings.stopMs, undefined, { ref: false })])
    }
  }
}
