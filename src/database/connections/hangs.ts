import { afterTicks } from '../../async/ticks.ts'
import { connectionTimings } from '../../rules/timings.ts'
import { endIdleBackends, readActivity } from '../../sql/database/activity.ts'
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
  /** Ends a look at the server. Locks of connections that were found to hang are still released. */
  end(): Promise<void>
}

/**
 * Closes connections that no longer answer. The operating system takes a quarter of an hour to notice, and behind some
 * routers it never does. After ten seconds without an answer, another connection asks the server what the statement's
 * backend does. If the backend still works on the statement, the statement is only slow or waits for a lock, and the
 * connection stays. If the backend does not, or the other connection gets no answer, the connection is closed.
 *
 * The server may not notice for hours. So the other connection also ends the backend of a lost connection: it may hold
 * locks for which other statements wait.
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
  let timer: ReturnType<typeof setInterval> | undefined
  let looking: Promise<void> | undefined
  let ticked = Promise.withResolvers<void>()
  let giveUp = (): void => {}

  function tick(): void {
    const before = silences
    silences = new Map()
    const late: Suspect[] = []
    for (const connection of connections) {
      const { oldest } = connection
      if (!oldest) continue
      const silence = before.has(oldest) ? (before.get(oldest) ?? 0) + 1 : 0
      silences.set(oldest, silence)
      if (silence >= connectionTimings.hangTicks) late.push({ connection, statement: oldest })
    }
    ticked.resolve()
    ticked = Promise.withResolvers()
    if (late.length > 0) looking ??= look(late).finally(() => (looking = undefined))
    if (silences.size > 0 || looking) return
    clearInterval(timer)
    timer = undefined
  }

  async function look(late: readonly Suspect[]): Promise<void> {
    const session = probe()
    giveUp = () => session.abandon(connectTimeout())
    const deadline = afterTicks(connectionTimings.hangTicks, giveUp)
    try {
      const { silent: suspects, working, own } = await judge(session, late)
      for (const { statement } of working) if (silences.has(statement)) silences.set(statement, 0)
      if (suspects.length === 0) return
      // The answers may be on the way.
      await ticked.promise
      giveUp = () => {}
      const hung = suspects.filter(({ connection, statement }) => isWaiting(connection, statement))
      for (const { connection } of hung) connection.abandon(silent())
      if (hung.length > 0) onHung?.()
      const backends = hung.flatMap(({ connection }) => connection.backend ?? [])
      if (own !== undefined) await endIdleBackends(session.execute, own, backends).catch(() => {})
    } finally {
      clearInterval(deadline)
      await session.end()
    }
  }

  function isWaiting(connection: Watched, statement: object): boolean {
    return connections.has(connection) && connection.oldest === statement
  }

  return {
    watch() {
      if (timer) return
      timer = setInterval(tick, connectionTimings.tickMs)
      // A statement that waits for an answer keeps the process alive without this timer.
      timer.unref()
    },
    async end() {
      giveUp()
      await looking
    }
  }
}

/** A statement that has waited long, and its connection. */
interface Suspect {
  readonly connection: Watched
  readonly statement: { readonly text: string }
}

/** What another session has found. */
interface Judgement {
  readonly working: readonly Suspect[]
  readonly silent: readonly Suspect[]
  /** The backend of the other session, if the driver knows the backends. Behind a pooler it does not. */
  readonly own: number | undefined
}

async function judge(session: Session, suspects: readonly Suspect[]): Promise<Judgement> {
  try {
    const { own, working } = await readActivity(session.execute)
    const isDirect = own === session.backend
    // Behind a pooler, any backend that runs the same statement counts.
    const isWorking = ({ connection, statement }: Suspect): boolean =>
      working.some(({ backend, text }) => (isDirect ? backend === connection.backend : statement.text.startsWith(text)))
    const judged = Map.groupBy(suspects, isWorking)
    return { working: judged.get(true) ?? [], silent: judged.get(false) ?? [], own: isDirect ? own : undefined }
  } catch (error) {
    const found = { working: [], silent: [], own: undefined }
    return isBusy(error) ? { ...found, working: suspects } : { ...found, silent: suspects }
  }
}

/** A server that refuses a connection for want of room is alive, and tells nothing about the statements. */
function isBusy(error: unknown): boolean {
  return /^(?:53|57)/.test(codeOf(error) ?? '')
}

/** The error of a connection that hangs. */
export function silent(): Error {
  return Object.assign(new Error('The connection fell silent'), { code: 'ETIMEDOUT' })
}
