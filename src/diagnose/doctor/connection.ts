import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { Session } from '../../database/connections/session.ts'
import { atomically } from '../../database/connections/transaction.ts'
import { listenOn, notifyOn } from '../../sql/ledger/doctor.ts'
import { readBackend } from '../../sql/ledger/waiters.ts'
import { type Finding, problem } from './finding.ts'
import type { Limits } from './limits.ts'

/**
 * Examines whether a connection is a session of the server, and whether notifications arrive.
 *
 * @param open opens a connection, and reports its notifications
 */
export async function examineConnection(open: Open, limits: Limits): Promise<Finding[]> {
  if (await isPooledByTransaction(open)) {
    return [
      problem(
        'pooler',
        'There is a pooler in transaction mode between this process and the server: two statements of one connection ran in two server processes. Notifications do not arrive, and the locks by which workers show that they live are lost',
        'Connect workers to the server itself, or to a pool in session mode. An application that only schedules can stay, with prepare: false if the pooler does not support prepared statements'
      )
    ]
  }
  if (await canListen(open, limits.notificationMs)) return []
  return [
    problem(
      'listen',
      `A notification did not arrive within ${limits.notificationMs / 1_000} s: workers find new jobs only when they poll`,
      'Connect to the primary itself: poolers in transaction mode and some proxies drop notifications'
    )
  ]
}

type Open = (onNotice?: () => void) => Session

/**
 * Looks for a pooler in transaction mode. Without one, the same server process serves a session to its end. With one,
 * another session can take that process.
 */
async function isPooledByTransaction(open: Open): Promise<boolean> {
  const [session, other] = [open(), open()]
  try {
    const first = await readBackend(session.execute)
    for (let round = 0; round < ROUNDS; round++) {
      // While another client holds a shared server process, that process cannot answer us.
      const isShared = await atomically(other, async execute => {
        const held = await readBackend(execute)
        return held === first || (await readBackend(session.execute)) !== first
      })
      if (isShared) return true
    }
    return false
  } finally {
    await Promise.all([session.end(), other.end()])
  }
}

async function canListen(open: Open, withinMs: number): Promise<boolean> {
  const channel = `kretes:doctor:${randomUUID()}`
  const heard = Promise.withResolvers<true>()
  const [listener, teller] = [open(() => heard.resolve(true)), open()]
  const waiting = new AbortController()
  try {
    await listenOn(listener.execute, channel)
    await notifyOn(teller.execute, channel)
    return await Promise.race([heard.promise, setTimeout(withinMs, false, { signal: waiting.signal })])
  } finally {
    waiting.abort()
    await Promise.all([listener.end(), teller.end()])
  }
}

const ROUNDS = 5
