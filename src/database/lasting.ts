import type { Sql } from 'postgres'
import type { Connections, Execute } from '../sql/statement.ts'
import { isReadOnly } from './failure.ts'
import { untilNoConflict } from './repeat.ts'
import { executeIn } from './session.ts'
import { createSockets, type Sockets } from './sockets.ts'
import { begin, reasonOf } from './transaction.ts'

/** Connections that are replaced when they hang. */
export interface Lasting extends Connections {
  /** Replaces the connections. Call when other connections to the same server hang. */
  replace(): void
  end(): Promise<void>
}

/**
 * Keeps connections that survive a network that hangs. The driver would wait for ever for an answer that does not come.
 * Here a timeout replaces the connections, and all waiting statements fail.
 *
 * It also reconnects when a server is read-only: another server may have taken over.
 *
 * Use it for short statements. A statement that waits for a lock counts as hung, too. The timeout doubles each time, so
 * that such statements do not pile up at the server; after a minute without a hang it is back to normal.
 *
 * @param open creates a client that uses these sockets
 * @param onHung called when an answer did not come in time
 */
export function connectLasting(open: (sockets: Sockets) => Sql, onHung?: () => void): Lasting {
  let sockets = createSockets()
  let current = open(sockets)
  let timeoutMs = TIMEOUT_MS
  let replacedMs = Number.NEGATIVE_INFINITY
  let isEnded = false

  function replace(): void {
    if (isEnded) return
    const [hung, hungSockets] = [current, sockets]
    sockets = createSockets()
    current = open(sockets)
    close(hung, hungSockets, 0)
  }

  function giveUpOn(hung: Sql): void {
    if (hung !== current || isEnded) return
    const nowMs = performance.now()
    timeoutMs = nowMs - replacedMs < RESET_AFTER_MS ? timeoutMs * 2 : TIMEOUT_MS
    replacedMs = nowMs
    replace()
    onHung?.()
  }

  async function close(client: Sql, its: Sockets, timeout: number): Promise<void> {
    await client.end({ timeout }).catch(() => {})
    its.destroy()
  }

  async function watch<Result>(work: Promise<Result>): Promise<Result> {
    const client = current
    const timer = setTimeout(() => giveUpOn(client), timeoutMs)
    try {
      return await work
    } catch (error) {
      if (client === current && isReadOnly(error)) replace()
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  async function transact<Result>(work: (execute: Execute) => Promise<Result>): Promise<Result> {
    try {
      return await begin(current, work)
    } catch (error) {
      throw reasonOf(error)
    }
  }

  return {
    execute: statement => watch(untilNoConflict(() => executeIn(current)(statement))),
    transact: work => watch(transact(work)),
    replace,
    end() {
      isEnded = true
      return close(current, sockets, END_TIMEOUT_SECONDS)
    }
  }
}

const TIMEOUT_MS = 10_000
const RESET_AFTER_MS = 60_000
const END_TIMEOUT_SECONDS = 1
