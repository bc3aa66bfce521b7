import { setImmediate, setTimeout } from 'node:timers/promises'
import type { Sql } from 'postgres'
import { pauseAfter } from '../async/repeat.ts'
import { createSleep } from '../async/sleep.ts'
import { afterTicks } from '../async/ticks.ts'
import { connectTimeout } from '../database/connections/connection.ts'
import { openSession, type Session } from '../database/connections/session.ts'
import { describeFailure, explainFailure, isSchemaMissing, isTransientFailure } from '../database/failure.ts'
import { BackgroundError } from '../errors.ts'
import type { ResultOptions } from '../job.ts'
import type { Logger } from '../logger.ts'
import { RESULTS_SETTINGS } from '../sql/database/settings.ts'
import {
  findEnds,
  listenForEnds,
  RENEWAL_MS,
  readBackend,
  readEndNotice,
  registerWaiters,
  removeWaiters
} from '../sql/ledger/waiters.ts'
import type { Access } from '../sql/statement.ts'
import { type Awaited, type AwaitedJobs, addWaiter, postpone, tell } from './waiters.ts'

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
  const closing = Promise.withResolvers<never>()
  closing.promise.catch(() => {})
  let isClosed = false
  let living: Promise<void> | undefined
  let reached: Reach | undefined
  let session: Session | undefined
  let isProven = false
  let isHinted = false
  let hintsInVain = 0
  let renewAtMs = 0
  let removeAtMs = Number.POSITIVE_INFINITY

  function wake(leftId?: string): void {
    if (leftId !== undefined) {
      left.add(leftId)
      removeAtMs = Math.min(removeAtMs, performance.now() + REMOVAL_DELAY_MS)
    }
    sleep.wake()
    if (jobs.size > 0 && !isClosed) living ??= live()
  }

  async function live(): Promise<void> {
    let failures = 0
    while (!isClosed && (session || jobs.size > 0)) {
      try {
        if (session?.isLost) drop()
        session ??= await connect()
        await serve(session)
        failures = 0
        if (!(await rest())) break
      } catch (error) {
        drop()
        if (!isClosed) await recover(error, failures++)
      }
    }
    await leave()
    living = undefined
    // A call may have begun to wait meanwhile.
    if (jobs.size > 0) wake()
  }

  async function connect(): Promise<Session> {
    reached = await Promise.race([reach(), closing.promise])
    const opened = openSession(reached.client, {
      name: 'kretes results',
      settings: RESULTS_SETTINGS,
      onNotice: hear,
      onLost: sleep.wake
    })
    try {
      // Behind a pooler, another client would get the notifications. Then jobs are only looked at now and then.
      const backend = await ask(readBackend(opened.execute))
      if (backend === opened.backend) await ask(opened.execute(listenForEnds))
    } catch (error) {
      void opened.end().catch(() => {})
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
    const restMs = hintsInVain > MANY ? REST_MS : 0
    job.lookAtMs = Math.min(job.lookAtMs, performance.now() + restMs)
    sleep.wake()
  }

  /** Sends the next statement that is due. */
  async function serve({ execute }: Session): Promise<void> {
    const access: Access = { execute, schema, isOurs: true }
    const nowMs = performance.now()
    const isRenewal = nowMs > renewAtMs
    if (isRenewal) renewAtMs = nowMs + RENEWAL_MS
    const fresh = [...jobs.values()].filter(job => isRenewal || !job.isRegistered)
    if (fresh.length > 0) await ask(registerWaiters(access, listener, idsOf(fresh)))
    for (const job of fresh) job.isRegistered = true
    const due = [...jobs.values()].filter(job => job.isRegistered && job.lookAtMs <= nowMs + TOGETHER_MS)
    if (due.length > 0) await look(access, due)
    else if (nowMs > removeAtMs) await remove(access)
  }

  async function look({ execute }: Access, due: readonly Awaited[]): Promise<void> {
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
    let untilMs = isIdle ? performance.now() + LINGER_MS : Math.min(removeAtMs, renewAtMs)
    for (const job of jobs.values()) untilMs = Math.min(untilMs, job.lookAtMs)
    const isWoken = await sleep.wait(untilMs - performance.now())
    // Calls that begin in the same turn share the next statement.
    if (isWoken) await setImmediate()
    return isWoken || !isIdle
  }

  /** A failure concerns all jobs, because they share the connection. */
  async function recover(error: unknown, failures: number): Promise<void> {
    try {
      if (isSchemaMissing(error) && failures < MAX_MIGRATIONS) return void (await reached?.migrate())
      if (!isProven || !isTransientFailure(error)) throw error
    } catch (reason) {
      const explained = explainFailure(reason, 'wait for a result', reached?.label ?? 'the database')
      return rejectAll(explained)
    }
    if (failures === 0) {
      const reason = describeFailure(error, reached?.label ?? 'the database')
      logger.warn(`Results are waited for without a connection: ${reason}; trying again until there is one`)
    }
    await Promise.race([setTimeout(pauseAfter(failures, PAUSES)), closing.promise]).catch(() => {})
  }

  function rejectAll(reason: unknown): void {
    for (const job of [...jobs.values()]) for (const waiter of [...job.waiters]) waiter.reject(reason)
  }

  function drop(): Promise<void> | undefined {
    const ending = session?.end().catch(() => {})
    session = undefined
    return ending
  }

  async function leave(): Promise<void> {
    if (session && !session.isLost && left.size > 0) {
      const access = { execute: session.execute, schema, isOurs: true }
      await Promise.race([remove(access), setTimeout(LEAVE_TIMEOUT_MS, undefined, { ref: false })]).catch(() => {})
    }
    left.clear()
    await drop()
  }

  /** The driver would wait for ever for an answer that does not come. */
  async function ask<Result>(statement: Promise<Result>): Promise<Result> {
    const late = Promise.withResolvers<never>()
    const timer = afterTicks(PATIENCE_SECONDS, () => late.reject(connectTimeout()))
    try {
      return await Promise.race([statement, late.promise, ...(isClosed ? [] : [closing.promise])])
    } finally {
      clearInterval(timer)
    }
  }

  return {
    async wait(job, options = {}) {
      if (isClosed) throw closed()
      return await addWaiter(jobs, job, options, wake)
    },
    async close() {
      isClosed = true
      rejectAll(closed())
      closing.reject(closed())
      sleep.wake()
      await living
    }
  }
}

function closed(): BackgroundError {
  return new BackgroundError('CLOSED', 'Cannot wait for a result: this Background was closed')
}

function idsOf(jobs: readonly Awaited[]): string[] {
  return jobs.map(({ id }) => id)
}

/** Times in ISO 8601 in one zone sort as texts. */
function earliest(jobs: readonly Awaited[]): string {
  return jobs.reduce((first, { since }) => (since !== null && since < first ? since : first), '9999')
}

/** Jobs that are due so soon are looked at together with jobs that are due now. */
const TOGETHER_MS = 10

/** A notification for a job that no call waits for does no harm. */
const REMOVAL_DELAY_MS = 200

/** A program that waits for one job after the other uses one connection for all. */
const LINGER_MS = 2_000

/** After so many false notifications in a row, they are answered at most once in this time. */
const MANY = 20
const REST_MS = 20

const PATIENCE_SECONDS = 10
const LEAVE_TIMEOUT_MS = 1_000
const PAUSES = { leastMs: 100, mostMs: 2_000 }

/** A migration may find that another process has not finished its own. */
const MAX_MIGRATIONS = 3
