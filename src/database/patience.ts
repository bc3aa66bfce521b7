import { readActivity } from '../sql/database/activity.ts'
import { afterTicks, connectTimeout } from './connection.ts'
import { codeOf } from './failure.ts'
import type { Sent, Session } from './session.ts'

/** Finds connections that hang. */
export interface Patience {
  /** Call before a statement is sent. Costs nothing while other statements are under way. */
  watch(): void
  /** Waits until the current check has ended. */
  end(): Promise<void>
}

/**
 * A connection may hang for a quarter of an hour before the system closes it, and behind some routers for ever. A
 * statement without an answer for 10 seconds loses its connection, unless another connection shows that its backend is
 * still working on it: then the statement is slow, or it waits for a lock. If the other connection gets no answer
 * either, the statement loses its connection, too.
 *
 * @param sessions the sessions to watch
 * @param open opens another session for the check
 */
export function createPatience(sessions: ReadonlySet<Session>, open: () => Session): Patience {
  /** How long each statement has waited, in seconds in which the event loop ran: a blocked one reads no answers. */
  let silences = new Map<Sent, number>()
  /** Statements that no backend is working on. They get one more second, since their answers may be on the way. */
  const unattended = new WeakSet<Sent>()
  let timer: ReturnType<typeof setInterval> | undefined
  let looking: Promise<void> | undefined

  function tick(): void {
    const before = silences
    silences = new Map()
    const late: Session[] = []
    for (const session of sessions) {
      const { oldest } = session
      if (!oldest) continue
      const silence = before.has(oldest) ? (before.get(oldest) ?? 0) + 1 : 0
      silences.set(oldest, silence)
      if (unattended.has(oldest)) session.abandon(silent())
      else if (silence >= PATIENCE_TICKS) late.push(session)
    }
    if (late.length > 0) looking ??= judge(late).finally(() => (looking = undefined))
    if (silences.size > 0) return
    clearInterval(timer)
    timer = undefined
  }

  async function judge(late: readonly Session[]): Promise<void> {
    const suspects = late.flatMap(({ oldest, backend }) => (oldest ? { oldest, backend } : []))
    const isWorking = await look()
    for (const { oldest, backend } of suspects) {
      if (!isWorking(oldest, backend)) unattended.add(oldest)
      else if (silences.has(oldest)) silences.set(oldest, 0)
    }
  }

  async function look(): Promise<(sent: Sent, backend: number | undefined) => boolean> {
    const session = open()
    const deadline = afterTicks(PATIENCE_TICKS, () => session.abandon(connectTimeout()))
    try {
      const { own, working } = await readActivity(session.execute)
      // Behind a pooler the driver does not know the backends. Then any backend with the same statement counts.
      const isDirect = own === session.backend
      return ({ text }, backend) =>
        working.some(other => (isDirect ? other.backend === backend : text.startsWith(other.text)))
    } catch (error) {
      return () => isBusy(error)
    } finally {
      clearInterval(deadline)
      await session.end()
    }
  }

  return {
    watch() {
      if (timer) return
      timer = setInterval(tick, 1_000)
      // The connection that waits for an answer keeps the process running.
      timer.unref()
    },
    end: async () => await looking
  }
}

const PATIENCE_TICKS = 10

/** Whether a server refused the check because it is busy. It is reachable then, and statements may still run. */
function isBusy(error: unknown): boolean {
  return /^(?:53|57)/.test(codeOf(error) ?? '')
}

function silent(): Error {
  return Object.assign(new Error('The connection does not answer'), { code: 'ETIMEDOUT' })
}
