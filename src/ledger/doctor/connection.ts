import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { Session } from '../../database/session.ts'
import { atomically } from '../../database/transaction.ts'
import { listenOn, notifyOn } from '../../sql/ledger/doctor.ts'
import { readBackend } from '../../sql/ledger/waiters.ts'
import type { Finding } from './finding.ts'
import type { Limits } from './limits.ts'

/**
 * Finds out whether a connection is a session of the server's, and whether notifications come through.
 *
 * @param open connects, and tells what it hears
 */
export async function examineConnection(open: Open, limits: Limits): Promise<Finding[]> {
  if (await isPooledByTransaction(open)) {
    return [
      {
        code: 'pooler',
        severity: 'error',
        message:
          'Between this process and the server is a pooler in transaction mode: two statements of one connection were carried out by two server processes. Notifications do not arrive, and the locks by which workers show that they live are lost',
        remedy:
          'Let workers connect to the server itself, or to a pool in session mode. An application that only schedules may stay, with prepare: false if the pooler knows no prepared statements'
      }
    ]
  }
  if (await canListen(open, limits.notificationMs)) return []
  return [
    {
      code: 'listen',
      severity: 'error',
      message: `A notification did not arrive within ${limits.notificationMs / 1_000} s: workers find new jobs only when they poll`,
      remedy: 'Connect to the primary itself: poolers in transaction mode and some proxies drop notifications'
    }
  ]
}

type Open = (onNotice?: () => void) => Session

/** Who holds a session of the server's is answered by the same process each time, whatever others do meanwhile. */
async function isPooledByTransaction(open: Open): Promise<boolean> {
  const [session, other] = [open(), open()]
  try {
    const first = await readBackend(session.execute)
    for (let round = 0; round < ROUNDS; round++) {
      // Held by somebody else, it cannot answer us as well, if it is shared.
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
