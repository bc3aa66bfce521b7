import { readActivity } from '../sql/database/activity.ts'
import { afterTicks, connectTimeout } from './connection.ts'
import { codeOf } from './failure.ts'
import type { Sent, Session } from './session.ts'

/** Finds connections that fell silent. */
export interface Patience {
  /** A statement is about to be sent. Costs nothing while others are under way. */
  watch(): void
  /** Waits until nothing is looked at any more. */
  end(): Promise<void>
}

/**
 * A connection may be silent for a quarter of an hour before the system gives it up, and behind some routers for ever.
 * A statement that is not answered for long loses its connection, unless its backend still works on it, as seen through
 * another one: then it is slow, or waits for a lock. Where no other connection gets an answer either, it loses it, too.
 *
 * @param sessions those that there are
 * @param open opens another one
 */
export function createPatience(sessions: ReadonlySet<Session>, open: () => Session): Patience {
  /** For how many seconds each has waited in which the event loop turned: a blocked one has not heard its answer. */
  let silences = new Map<Sent, number>()
  /** Those on which no backend works. Their answers may be on the way. */
  const condemned = new WeakSet<Sent>()
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
      if (condemned.has(oldest)) session.abandon(silent())
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
      if (!isWorking(oldest, backend)) condemned.add(oldest)
      else if (silences.has(oldest)) silences.set(oldest, 0)
    }
  }

  async function look(): Promise<(sent: Sent, backend: number | undefined) => boolean> {
    const session = open()
    const deadline = afterTicks(PATIENCE_TICKS, () => session.abandon(connectTimeout()))
    try {
      const { own, working } = await readActivity(session.execute)
      // Behind a pooler the driver does not know the backends: then whoever carries out the same statement counts.
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
      // What waits for an answer keeps the process by itself.
      timer.unref()
    },
    end: async () => await looking
  }
}

const PATIENCE_TICKS = 10

/** A server that says that it has no room or no time now is there, and says nothing about a statement. */
function isBusy(error: unknown): boolean {
  return /^(?:53|57)/.test(codeOf(error) ?? '')
}

function silent(): Error {
  return Object.assign(new Error('The connection fell silent'), { code: 'ETIMEDOUT' })
}
