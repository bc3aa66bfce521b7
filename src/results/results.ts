import { setImmediate, setTimeout } from 'node:timers/promises'
import type { Sql } from 'postgres'
import { repeat } from '../async/repeat.ts'
import { createSleep } from '../async/sleep.ts'
import { createHangDetector } from '../database/connections/hangs.ts'
import { openSession, type Session } from '../database/connections/session.ts'
import { describeFailure, explainFailure, isSchemaMissing, isTransientFailure } from '../database/failure.ts'
import { BackgroundError } from '../errors.ts'
import type { ResultOptions } from '../job.ts'
import type { Logger } from '../logger.ts'
import { pauses, resultTimings } from '../rules/timings.ts'
import { RESULTS_SETTINGS } from '../sql/database/settings.ts'
import {
  findEnds,
  listenForEnds,
  readBackend,
  readEndNotice,
  registerWaiters,
  removeWaiters
} from '../sql/ledger/waiters.ts'
import type { Access } from '../sql/statement.ts'
import { type AwaitedJob, type AwaitedJobs, addWaiter, postpone, tell } from './waiters.ts'

/** Options of {@linkcode createResults}. */
export interface ResultsOptions {
  readonly schema: string
  readonly logger: Logger
  /** Finds the database. */
  reach(): Promise<Reach>
}

/** A database. */
export interface Reach {
  /** A client with the options to connect with. It runs no statement. */
  readonly client: Sql
  /** The name of the database in messages. */
  readonly label: string
  /** Brings the schema up to date. */
  readonly migrate: () => Promise<unknown>
}

/** Waits for jobs to end. */
export interface Results {
  /**
   * Waits for a job.
   *
   * @param job.since a time at which the job had not ended, in ISO 8601
   */
  wait(job: { readonly id: string; readonly since: string | null }, options?: ResultOptions): Promise<unknown>
  /** Ends all waits. */
  close(): Promise<void>
}

/**
 * Waits for any number of jobs on one connection, which is open while there are jobs to wait for. Notifications tell which
 * jobs have ended. A notification may be lost, or be sent before the database knows of the wait, so all jobs are also
 * looked at now and then. One statement at a time asks for all jobs that it concerns.
 */
export function createResults({ schema, logger, reach }: ResultsOptions): Results {
  const listener = crypto.randomUUID()
  const jobs: AwaitedJobs = new Map()
  /** Jobs that no call waits for any longer, but that are still registered in the database. */
  const left = new Set<string>()
  const sleep = createSleep()
  const closing = new AbortController()
  const closed = Promise.withResolvers<never>()
  closed.promise.catch(() => {})
  let living: Promise<void> | undefined
  let reached: Reach | undefined
  let session: Session | undefined
  const sessions = new Set<Session>()
  const hangs = createHangDetector(sessions, () => openSession((reached as Reach).client, { name: 'kretes probe' }))
  let migrations = 0
  let isAway = false
  let isProven = false
  let isHinted = false
  let hintsInVain = 0
  let renewAtMs = 0
  let removeAtMs = Number.POSITIVE_INFINITY

  function wake(leftId?: string): void {
    if (leftId !== undefined) {
      left.add(leftId)
      removeAtMs = Math.min(removeAtMs, performance.now() + resultTimings.removalDelayMs)
    }
    sleep.wake()
    if (jobs.size > 0 && !closing.signal.aborted) living ??= live()
  }

  async function live(): Promise<void> {
    try {
      do await repeat(turn, { signal: closing.signal, pauses: pauses.database, onFailure: recover })
      while ((await rest()) && !closing.signal.aborted)
    } catch (error) {
      // A failure concerns all jobs, because they share the connection.
      rejectAll(error)
    }
    await leave()
    living = undefined
    // A call may have begun to wait meanwhile.
    if (jobs.size > 0) wake()
  }

  /** Sends the next statement that is due. */
  async function turn(): Promise<void> {
    if (session?.isLost) drop()
    session ??= await connect()
    await serve(session)
    migrations = 0
    isAway = false
  }

  async function connect(): Promise<Session> {
    reached = await Promise.race([reach(), closed.promise])
    const opened = openSession(reached.client, {
      name: 'kretes results',
      settings: RESULTS_SETTINGS,
      onNotice: hear,
      onLost: sleep.wake
    })
    sessions.add(opened)
    try {
      // Behind a pooler, another client would get the notifications. Then jobs are only looked at now and then.
      const backend = await ask(readBackend(opened.execute))
      if (backend === opened.backend) await ask(opened.execute(listenForEnds))
    } catch (error) {
      void end(opened)
      throw error
    }
    isProven = true
    for (const job of jobs.values()) {
      job.isRegistered = false
      job.lookAtMs = 0
    }
    return opened
  }

  function hear(notice: string): void {
    const job = jobs.get(readEndNotice(notice, schema) ?? '')
    if (!job) return
    isHinted = true
    // Anyone can send a notification, so after many false ones they are answered together.
    const restMs = hintsInVain > MANY ? resultTimings.restMs : 0
    job.lookAtMs = Math.min(job.lookAtMs, performance.now() + restMs)
    sleep.wake()
  }

  async function serve({ execute }: Session): Promise<void> {
    const access: Access = { execute, schema, isOurs: true }
    const nowMs = performance.now()
    const isRenewal = nowMs > renewAtMs
    if (isRenewal) renewAtMs = nowMs + resultTimings.renewEveryMs
    const fresh = [...jobs.values()].filter(job => isRenewal || !job.isRegistered)
    if (fresh.length > 0) await ask(registerWaiters(access, listener, idsOf(fresh)))
    for (const job of fresh) job.isRegistered = true
    const due = [...jobs.values()].filter(job => job.isRegistered && job.lookAtMs <= nowMs + resultTimings.togetherMs)
    if (due.length > 0) await look(access, due)
    else if (nowMs > removeAtMs) await remove(access)
  }

  async function look({ execute }: Access, due: readonly AwaitedJob[]): Promise<void> {
    // A notification that comes from now on is a reason to look again.
    for (const job of due) job.lookAtMs = Number.POSITIVE_INFINITY
    const wasHinted = isHinted
    isHinted = false
    const since = due.some(job => job.since === null) ? null : earliest(due)
    const ends = await ask(findEnds(execute, schema, idsOf(due), since))
    const nowMs = performance.now()
    for (const end of ends) {
      const job = jobs.get(end.id)
      if (!job) continue
      tell(job, end)
      postpone(job, nowMs, end)
    }
    if (wasHinted) hintsInVain = due.every(({ id }) => jobs.has(id)) ? hintsInVain + 1 : 0
  }

  async function remove(access: Access): Promise<void> {
    const ids = [...left].filter(id => !jobs.has(id))
    left.clear()
    removeAtMs = Number.POSITIVE_INFINITY
    if (ids.length > 0) await ask(removeWaiters(access, listener, ids))
  }

  /** Waits until there is something to do; resolves to false if there was nothing for a while. */
  async function rest(): Promise<boolean> {
    const isIdle = jobs.size === 0 && left.size === 0
    let untilMs = isIdle ? performance.now() + resultTimings.lingerMs : Math.min(removeAtMs, renewAtMs)
    for (const job of jobs.values()) untilMs = Math.min(untilMs, job.lookAtMs)
    const isWoken = await sleep.wait(untilMs - performance.now())
    // Calls that begin in the same turn share the next statement.
    if (isWoken) await setImmediate()
    return isWoken || !isIdle
  }

  /** Throws if the calls cannot continue to wait, or if there is none left. */
  async function recover(error: unknown): Promise<void> {
    drop()
    if (jobs.size === 0) throw error
    const database = reached?.label ?? 'the database'
    try {
      if (isSchemaMissing(error) && migrations++ < MAX_MIGRATIONS) await reached?.migrate()
      else if (!isProven || !isTransientFailure(error)) throw error
    } catch (reason) {
      throw explainFailure(reason, 'wait for a result', database)
    }
    if (isAway || isSchemaMissing(error)) return
    isAway = true
    const reason = describeFailure(error, database)
    logger.warn(`Results are waited for without a connection: ${reason}; trying again until there is one`)
  }

  function rejectAll(reason: unknown): void {
    for (const job of [...jobs.values()]) for (const waiter of [...job.waiters]) waiter.reject(reason)
  }

  function drop(): Promise<void> | undefined {
    const ending = session && end(session)
    session = undefined
    return ending
  }

  async function end(ended: Session): Promise<void> {
    sessions.delete(ended)
    await ended.end().catch(() => {})
  }

  async function leave(): Promise<void> {
    if (session && !session.isLost && left.size > 0) {
      const access = { execute: session.execute, schema, isOurs: true }
      await Promise.race([remove(access), setTimeout(resultTimings.leaveMs, undefined, { ref: false })]).catch(() => {})
    }
    left.clear()
    await drop()
    await hangs.end()
  }

  /** The driver would wait for ever for an answer that does not come. */
  async function ask<Result>(statement: Promise<Result>): Promise<Result> {
    hangs.watch()
    return await (closing.signal.aborted ? statement : Promise.race([statement, closed.promise]))
  }

  return {
    async wait(job, options = {}) {
      if (closing.signal.aborted) throw clientClosed()
      return await addWaiter(jobs, job, options, wake)
    },
    async close() {
      closing.abort()
      rejectAll(clientClosed())
      closed.reject(clientClosed())
      sleep.wake()
      await living
    }
  }
}

function clientClosed(): BackgroundError {
  return new BackgroundError('CLOSED', 'Cannot wait for a result: this Background was closed')
}

function idsOf(jobs: readonly AwaitedJob[]): string[] {
  return jobs.map(({ id }) => id)
}

/** Times in ISO 8601 in one zone sort as texts. */
function earliest(jobs: readonly AwaitedJob[]): string {
  return jobs.reduce((first, { since }) => (since !== null && since < first ? since : first), '9999')
}

/** After so many false notifications in a row, they are answered at most once in this time. */
const MANY = 20

/** A migration may find that another process has not finished its own. */
const MAX_MIGRATIONS = 3
