import { setTimeout } from 'node:timers/promises'
import { isTransientFailure } from '../../database/failure.ts'
import { connectLasting, type Lasting } from '../../database/lasting.ts'
import { connect } from '../../database/open.ts'
import type { Logger } from '../../logger.ts'
import { beat, STALE_AFTER_MS } from '../../sql/worker/workers.ts'
import type { Outage } from '../outage/outage.ts'
import { createRescuer } from './rescue.ts'

/** The options of {@linkcode connectSession}. */
export interface SessionOptions {
  readonly url: string | undefined
  readonly prepare: boolean
  /** It did not answer. */
  onHung(): void
  onClose(): void
}

/** The client for {@linkcode keepAlive}: its one connection stays open. */
export function connectSession({ url, prepare, onHung, onClose }: SessionOptions): Lasting {
  const options = { max: 1, prepare, name: 'kretes worker lock', isLasting: true, onClose }
  return connectLasting(sockets => connect({ url }, { ...options, sockets }), onHung)
}

/** The options of {@linkcode keepAlive}. */
export interface LivenessOptions {
  /** One connection that is used for nothing else: the worker's lock lives in its session. */
  readonly session: Lasting
  readonly control: Lasting
  readonly schema: string
  /** The id under which the engine locks jobs. */
  readonly id: string
  /** After how many lost workers a job is given up. */
  readonly maxLosses: number
  readonly logger: Logger
  readonly outage: Outage
  /** A peer has taken this worker for dead: its jobs are others' now. */
  onDeclaredDead(): void
}

/** A worker that shows that it lives, and looks after those that do not. */
export interface Liveness {
  /** When the last beat reached the database. */
  readonly lastBeatAt: Date
  /** Whether that is not long ago. */
  readonly isBeating: boolean
  /** Whether peers seem, or may seem, to be dead that this worker has not looked after: it is not yet fit to judge. */
  readonly hasSuspects: boolean
  /** Resolves while the lock is held; a task that blocks the event loop meanwhile is safe. */
  whenLocked(): Promise<void>
  /** The session has ended, and the lock with it: takes it again at once. */
  sessionEnded(): void
  stop(): Promise<void>
}

/**
 * A worker is dead if its last beat is old **and** its lock is free. The lock alone outlives a task that blocks the
 * event loop, since the kernel keeps the connection; the beat alone outlives a connection that breaks and comes back.
 *
 * Nobody is declared dead by a worker that has not itself been beating without a break for as long: after an outage of
 * the database all locks are free and all beats are old, until everybody is back.
 */
export function keepAlive(options: LivenessOptions): Liveness {
  const { session, schema, id, logger, outage, onDeclaredDead } = options
  const stopping = new AbortController()
  const who = {}
  const rescuer = createRescuer(options)
  let isBroken = false
  let locked = Promise.withResolvers<void>()
  let isLocked = false
  let pausing = new AbortController()
  let lastBeatAt = new Date()
  let lastBeatMs = performance.now()
  let judgesFromMs = lastBeatMs + STALE_AFTER_MS
  // Until it has looked for the first time.
  let hasSuspects = true

  async function round(): Promise<void> {
    const { isRegistered, isLocked: isLockedNow, stale } = await beat(session.execute, schema, id, STALE_AFTER_MS)
    if (stopping.signal.aborted) return
    isLocked = isLockedNow
    if (isLocked) locked.resolve()
    if (!isRegistered) {
      logger.error('This worker was taken for dead, and its jobs were given to others', {
        event: 'worker.declared-dead'
      })
      onDeclaredDead()
      stopping.abort()
      return
    }
    const nowMs = performance.now()
    // The database was away, or this process stood still, and with it perhaps the machine: others need time to be back.
    if (isBroken || nowMs - lastBeatMs > STALE_AFTER_MS) judgesFromMs = nowMs + RETURN_MS
    isBroken = false
    lastBeatMs = nowMs
    lastBeatAt = new Date()
    const isJudge = nowMs >= judgesFromMs
    if (isJudge) for (const other of stale) await rescuer.rescue(other)
    hasSuspects = stale.length > 0 && !isJudge
  }

  async function live(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await round()
        outage.recovered(who)
      } catch (error) {
        if (stopping.signal.aborted) break
        isBroken = true
        unlock()
        if (isTransientFailure(error)) outage.failed(who, error)
        else logger.warn(`The worker cannot show that it lives: ${error}`, { error })
      }
      if (stopping.signal.aborted) break
      pausing = new AbortController()
      const { signal } = pausing
      await setTimeout(isLocked ? BEAT_INTERVAL_MS : RETRY_INTERVAL_MS, undefined, { signal }).catch(() => {})
    }
    outage.forget(who)
    locked.resolve()
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
      return !stopping.signal.aborted && performance.now() - lastBeatMs < STALE_AFTER_MS
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
      // It may look after a dead peer just now; nobody has to wait for that.
      await Promise.race([living, setTimeout(STOP_TIMEOUT_MS, undefined, { ref: false })])
    }
  }
}

const STOP_TIMEOUT_MS = 1_000

const BEAT_INTERVAL_MS = 2_000

/** Without its lock. */
const RETRY_INTERVAL_MS = 200

/** How long workers get to come back after an outage before one of them may take another for dead. */
const RETURN_MS = 15_000
