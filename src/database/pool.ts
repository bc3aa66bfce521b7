import type { Sql } from 'postgres'
import type { Connections, Statement } from '../sql/statement.ts'
import { isAnswer } from './connection.ts'
import { isOutcomeUnknown, isReadOnly } from './failure.ts'
import { createPatience } from './patience.ts'
import { executeIn, openSession, type Session, type SessionOptions } from './session.ts'
import { begin, inTransaction, reasonOf } from './transaction.ts'

/** A pool of connections. Transactions reject with a `TransactionError`. */
export interface Pool extends Connections {
  /** Closes the connections. All of them must be free. */
  end(): Promise<void>
}

/**
 * Creates a pool of up to `max` sessions. Each runs one statement or transaction at a time; if none is free, a caller
 * waits. A lost session affects only its own caller, and is replaced when a session is needed.
 *
 * @param template a client whose options the sessions use; the client itself is never used
 * @param options more options of the sessions
 */
export function createPool(template: Sql, max: number, options?: SessionOptions): Pool {
  const free: { session: Session; timer: ReturnType<typeof setTimeout> }[] = []
  const waiting: ((session: Session) => void)[] = []
  const sessions = new Set<Session>()
  /** Sessions that were opened before the server was found to be read-only. */
  const stale = new WeakSet<Session>()
  const endings = new Set<Promise<void>>()
  const patience = createPatience(sessions, () => openSession(template, { name: 'kretes probe' }))

  function take(): Session | Promise<Session> {
    for (let last = free.pop(); last; last = free.pop()) {
      clearTimeout(last.timer)
      if (!last.session.isLost) return last.session
      discard(last.session)
    }
    if (sessions.size < max) return open()
    return new Promise(resolve => void waiting.push(resolve))
  }

  function giveBack(session: Session, isDoubtful: boolean): void {
    const isGood = !session.isLost && !isDoubtful && !stale.has(session)
    if (!isGood) discard(session)
    const next = waiting.shift()
    if (next) next(isGood ? session : open())
    else if (isGood) free.push({ session, timer: setTimeout(() => retire(session), IDLE_MS) })
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
    patience.watch()
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

  /** A session may stay read-only after the server is writable again. The statement had no effect: repeat it once. */
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
    async end() {
      for (const { session, timer } of free.splice(0)) {
        clearTimeout(timer)
        discard(session)
      }
      await patience.end()
      await Promise.all(endings)
    }
  }
}

/** Creates a pool on the caller's client. Only the caller closes its connections. */
export function poolOf(client: Sql): Pool {
  return {
    execute: executeIn(client),
    transact: work => begin(client, work),
    end: async () => {}
  }
}

/** A script that does not close the pool can still end after this time. */
const IDLE_MS = 10_000
