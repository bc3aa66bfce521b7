import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { Sql } from 'postgres'
import { holdBackend, readBackend } from '../../sql/ledger/doctor.ts'
import type { Finding } from './finding.ts'
import type { Limits } from './limits.ts'

/** Finds out whether a connection is a session of the server's, and whether notifications come through. */
export async function examineConnection(sql: Sql, limits: Limits): Promise<Finding[]> {
  if (await isPooledByTransaction(sql)) {
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
  if (await canListen(sql, limits.notificationMs)) return []
  return [
    {
      code: 'listen',
      severity: 'error',
      message: `A notification did not arrive within ${limits.notificationMs / 1_000} s: workers find new jobs only when they poll`,
      remedy: 'Connect to the primary itself: poolers in transaction mode and some proxies drop notifications'
    }
  ]
}

/** Who holds a session of the server's is answered by the same process each time, whatever others do meanwhile. */
async function isPooledByTransaction(sql: Sql): Promise<boolean> {
  const session = await sql.reserve()
  try {
    const first = await readBackend(session)
    for (let round = 0; round < ROUNDS; round++) {
      // Held by somebody else, it cannot answer us as well, if it is shared.
      const isShared = await holdBackend(sql, async held => held === first || (await readBackend(session)) !== first)
      if (isShared) return true
    }
    return false
  } finally {
    session.release()
  }
}

async function canListen(sql: Sql, withinMs: number): Promise<boolean> {
  const channel = `kretes:doctor:${randomUUID()}`
  const heard = Promise.withResolvers<true>()
  const { unlisten } = await sql.listen(channel, () => heard.resolve(true))
  const waiting = new AbortController()
  try {
    await sql.notify(channel, '')
    return await Promise.race([heard.promise, setTimeout(withinMs, false, { signal: waiting.signal })])
  } finally {
    waiting.abort()
    await unlisten()
  }
}

const ROUNDS = 5
