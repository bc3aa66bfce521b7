import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { Sql } from 'postgres'
import { holdBackend, readBackend } from '../../sql/ledger/doctor.ts'
import { type Finding, problem } from './finding.ts'
import type { Limits } from './limits.ts'

/** Examines whether a connection is a session of the server, and whether notifications arrive. */
export async function examineConnection(sql: Sql, limits: Limits): Promise<Finding[]> {
  if (await isPooledByTransaction(sql)) {
    return [
      problem(
        'pooler',
        'There is a pooler in transaction mode between this process and the server: two statements of one connection ran in two server processes. Notifications do not arrive, and the locks by which workers show that they live are lost',
        'Connect workers to the server itself, or to a pool in session mode. An application that only schedules can stay, with prepare: false if the pooler does not support prepared statements'
      )
    ]
  }
  if (await canListen(sql, limits.notificationMs)) return []
  return [
    problem(
      'listen',
      `A notification did not arrive within ${limits.notificationMs / 1_000} s: workers find new jobs only when they poll`,
      'Connect to the primary itself: poolers in transaction mode and some proxies drop notifications'
    )
  ]
}

/** A session is always served by the same server process, whatever other clients do. */
async function isPooledByTransaction(sql: Sql): Promise<boolean> {
  const session = await sql.reserve()
  try {
    const first = await readBackend(session)
    for (let round = 0; round < ROUNDS; round++) {
      // While another client holds a shared server process, that process cannot answer us.
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
