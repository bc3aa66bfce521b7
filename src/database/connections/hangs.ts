import { afterTicks } from '../../async/ticks.ts'
import { readActivity } from '../../sql/database/activity.ts'
import { codeOf } from '../failure.ts'
import { connectTimeout } from './connection.ts'
import type { Session } from './session.ts'

/** A connection that may hang. */
export interface Watched {
  /** The statement that has waited longest for its answer. */
  readonly oldest: { readonly text: string } | undefined
  /** The process id of the backend as the driver knows it. Behind a pooler, the server has no such process. */
  readonly backend: number | undefined
  /** Treats the connection as lost. */
  abandon(error: Error): void
}

/** Finds connections that no longer answer. */
export interface HangDetector {
  /** To be called before a statement is sent. Costs nothing while other statements are under way. */
  watch(): void
  /** Waits for a look at the server that is under way. */
  end(): Promise<void>
}

/**
 * Closes connections that no longer answer. The operating system takes a quarter of an hour to notice, and behind some
 * routers it never does. A statement without an answer for ten seconds loses its connection, unless another connection
 * shows that its backend still works on it: then the statement is slow, or waits for a lock. If the other connection gets
 * no answer either, the statement loses its connection, too.
 *
 * @param connections those in use
 * @param probe opens another session
 * @param onHung called after connections were found to hang
 */
export function createHangDetector(
  connections: ReadonlySet<Watched>,
  probe: () => Session,
  onHung?: () => void
): HangDetector {
  /** How many seconds each statement has waited. Seconds in which a task blocked the event loop do not count. */
  let silences = new Map<object, number>()
  /** Statements on which no backend works. Their answers may be on the way. */
  const condemned = new WeakSet<object>()
  let timer: ReturnType<typeof setInterval> | undefined
  let looking: Promise<void> | undefined

  function tick(): void {
    const before = silences
    silences = new Map()
    const late: Watched[] = []
    let hasHung = false
    for (const connection of [...connections]) {
      const { oldest } = connection
      if (!oldest) continue
      const silence = before.has(oldest) ? (before.get(oldest) ?? 0) + 1 : 0
      silences.set(oldest, silence)
      if (condemned.has(oldest)) {
        connection.abandon(silent())
        hasHung = true
      } else if (silence >= PATIENCE_TICKS) late.push(connection)
    }
    if (hasHung) onHung?.()
    if (late.length > 0) looking ??= judge(late).finally(() => (looking = undefined))
    if (silences.size > 0) return
    clearInterval(timer)
    timer = undefined
  }

  async function judge(late: readonly Watched[]): Promise<void> {
    const suspects = late.flatMap(({ oldest, backend }) => (oldest ? { oldest, backend } : []))
    const isWorking = await look()
    for (const { oldest, backend } of suspects) {
      if (!isWorking(oldest, backend)) condemned.add(oldest)
      else if (silences.has(oldest)) silences.set(oldest, 0)
    }
  }

  async function look(): Promise<(sent: { readonly text: string }, backend: number | undefined) => boolean> {
    const session = probe()
    const deadline = afterTicks(PATIENCE_TICKS, () => session.abandon(connectTimeout()))
    try {
      const { own, working } = await readActivity(session.execute)
      // Behind a pooler the driver does not know the backends: any backend that runs the same statement counts.
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
      // A statement that waits for an answer keeps the process alive without this timer.
      timer.unref()
    },
    end: async () => await looking
  }
}

const PATIENCE_TICKS = 10

/** A server that refuses a connection for want of room is alive, and tells nothing about the statements. */
function isBusy(error: unknown): boolean {
  return /^(?:53|57)/.test(codeOf(error) ?? '')
}

/** The error of a connection that hangs. */
export function silent(): Error {
  return Object.assign(new Error('The connection fell silent'), { code: 'ETIMEDOUT' })
}
