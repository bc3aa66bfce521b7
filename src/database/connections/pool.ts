import type { Sql } from 'postgres'
import { connectionTimings } from '../../rules/timings.ts'
import type { Connections, Statement } from '../../sql/statement.ts'
import { isOutcomeUnknown, isReadOnly } from '../failure.ts'
import { isAnswer } from './connection.ts'
import { createHangDetector, silent } from './hangs.ts'
import { executeIn, openSession, type Session, type SessionOptions } from './session.ts'
import { clientEnded } from './sockets.ts'
import { begin, inTransaction, reasonOf } from './transaction.ts'

/** Connections that are kept. A transaction rejects with a `TransactionError`. */
export interface Pool extends Connections {
  /** Closes each connection as soon as it is free, and refuses further work. */
  end(): Promise<void>
}

/** A pool of sessions. */
export interface SessionPool extends Pool {
  /** Closes all sessions, and fails the work on them: others to the same server were found to hang. */
  replace(): void
}

/** What {@linkcode createPool} takes besides the options of the sessions. */
export interface PoolOptions extends SessionOptions {
  /** Whether sessions stay open while they are idle. */
  readonly isLasting?: boolean
  /** Called after sessions were found to hang. */
  onHung?(): void
}

/**
 * Keeps up to `max` sessions, each for one statement or transaction at a time. A caller waits while none is free. A lost
 * session fails only the work on it, and is replaced when the next one is needed.
 *
 * @param template a client with the options to connect with; it is never used itself
 * @param options the options of the sessions
 */
export function createPool(
  template: Sql,
  max: number,
  { isLasting = false, onHung, ...options }: PoolOptions = {}
): SessionPool {
  const free: { session: Session; timer?: ReturnType<typeof setTimeout> }[] = []
  const waiting: PromiseWithResolvers<Session>[] = []
  const sessions = new Set<Session>()
  /** Sessions that began before the server was found to be read-only. */
  const stale = new WeakSet<Session>()
  const endings = new Set<Promise<void>>()
  const probe = (): Session => openSession(template, { name: 'kretes probe' })
  const hangs = createHangDetector(sessions, probe, onHung)
  const emptied = Promise.withResolvers<void>()
  let isEnded = false

  function take(): Session | Promise<Session> {
    if (isEnded) throw clientEnded()
    for (let last = free.pop(); last; last = free.pop()) {
      clearTimeout(last.timer)
      if (!last.session.isLost) return last.session
      discard(last.session)
    }
    if (sessions.size < max) return open()
    const turn = Promise.withResolvers<Session>()
    waiting.push(turn)
    return turn.promise
  }

  function giveBack(session: Session, isDoubtful: boolean): void {
    const isGood = !session.isLost && !isDoubtful && !stale.has(session) && !isEnded
    if (!isGood) discard(session)
    const next = waiting.shift()
    if (next) next.resolve(isGood ? session : open())
    else if (isGood && isLasting) free.push({ session })
    else if (isGood) free.push({ session, timer: setTimeout(() => retire(session), connectionTimings.idleMs) })
  }

  function open(): Session {
    const session = openSession(template, options)
    sessions.add(session)
    return session
  }

  function discard(session: Session): void {
    sessions.delete(session)
    const ending = session.end().finally(() => endings.delete(ending))
    endings.add(ending)
    if (isEnded && sessions.size === 0) emptied.resolve()
  }

  function retire(session: Session): void {
    const index = free.findIndex(other => other.session === session)
    if (index < 0) return
    clearTimeout(free[index]?.timer)
    free.splice(index, 1)
    discard(session)
  }

  async function use<Result>(work: (session: Session) => Promise<Result>): Promise<Result> {
    const taken = take()
    const session = taken instanceof Promise ? await taken : taken
    hangs.watch()
    let isDoubtful = true
    try {
      const result = await work(session)
      isDoubtful = false
      return result
    } catch (error) {
      isDoubtful = !isAnswer(error) || isOutcomeUnknown(error)
      if (isReadOnly(reasonOf(error))) replaceAll()
      throw error
    } finally {
      giveBack(session, isDoubtful)
    }
  }

  function replaceAll(): void {
    for (const session of sessions) stale.add(session)
    for (const { session } of [...free]) retire(session)
  }

  /** A session stays read-only after the server has become writable. Nothing has happened, so a new session tries again. */
  async function execute<Row>(statement: Statement): Promise<readonly Row[]> {
    try {
      return await use(session => session.execute<Row>(statement))
    } catch (error) {
      if (!isReadOnly(error)) throw error
      return await use(session => session.execute<Row>(statement))
    }
  }

  return {
    execute,
    transact: work => use(session => inTransaction(session, work)),
    replace() {
      for (const session of [...sessions]) session.abandon(silent())
      replaceAll()
    },
    async end() {
      isEnded = true
      for (const { reject } of waiting.splice(0)) reject(clientEnded())
      for (const { session } of [...free]) retire(session)
      if (sessions.size > 0) await emptied.promise
      await hangs.end()
      await Promise.all(endings)
    }
  }
}

/** Uses a client of the caller. The caller keeps and closes its connections. */
export function poolOf(client: Sql): Pool {
  return {
    execute: executeIn(client),
    transact: work => begin(client, work),
    end: async () => {}
  }
}
