import { connect, type Socket } from 'node:net'
import postgres, { type Options, type PostgresType, type Sql } from 'postgres'
import { enterServer, isAtWork, stayInServer, watchServer } from '../../sql/database/embedded.ts'
import type { Execute } from '../../sql/statement.ts'
import { executeIn } from '../session.ts'
import { until } from './until.ts'

/**
 * A session by which this process uses the server: as long as it is open, the server stays. A lock tells it from other
 * connections, so that nobody of ours enters a server that is about to stop.
 */
export interface Presence {
  /** Has the server stay when nobody uses it any more. */
  stay(): Promise<void>
  /** Whether it stays. */
  isStaying(): Promise<boolean>
  /** Ends the session, quietly if the server has gone. */
  end(): Promise<void>
}

/** What {@linkcode enter} takes. */
export interface EnterOptions {
  readonly port: number
  readonly password: string
  /** How long the server waits for its next user before it stops. */
  readonly patienceMs: number
}

/**
 * Enters a server, and sees to it that the server stops by itself after its last user, whoever that is.
 *
 * @returns `null` if it is about to stop
 * @throws what the driver throws if the server does not answer
 */
export async function enter(options: EnterOptions): Promise<Presence | null> {
  const { session, setWaiting } = openSession(options, NAME)
  const end = (): Promise<void> => session.end({ timeout: 1 }).catch(() => {})
  try {
    if (!(await enterServer(executeIn(session)))) {
      await end()
      return null
    }
    await leaveBehind(WATCH, watchServer)
  } catch (error) {
    await end()
    throw error
  }
  setWaiting(false)

  /** Begins a statement that goes on in the server without its client, if there is none of that name. */
  async function leaveBehind(name: string, run: (left: Execute) => Promise<void>): Promise<void> {
    if (await isAtWork(executeIn(session), name)) return
    const { session: left, drop } = openSession(options, name)
    let isOver = false
    const onEnd = (): void => {
      isOver = true
    }
    run(executeIn(left)).then(onEnd, onEnd)
    await until(async () => isOver || (await isAtWork(executeIn(session), name)), BEGIN_MS)
    drop()
  }

  async function waitFor<Result>(work: Promise<Result>): Promise<Result> {
    setWaiting(true)
    return await work.finally(() => setWaiting(false))
  }

  return {
    stay: () => waitFor(leaveBehind(STAY, stayInServer)),
    isStaying: () => waitFor(isAtWork(executeIn(session), STAY)),
    end
  }
}

const NAME = 'kretes embedded'
const WATCH = 'kretes embedded watch'
const STAY = 'kretes embedded stay'
const BEGIN_MS = 5_000

/** A client with one connection, which keeps the process alive only while somebody waits for it. */
function openSession(
  { port, password, patienceMs }: EnterOptions,
  name: string
): { session: Sql; setWaiting: (isWaiting: boolean) => void; drop: () => void } {
  let socket: Socket | undefined
  let isWaiting = true
  let isDropped = false
  const open = (): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const opened = connect({ host: '127.0.0.1', port })
      opened.once('error', reject)
      opened.once('connect', () => {
        opened.off('error', reject)
        socket = opened
        if (isDropped) opened.destroy()
        resolve(opened)
      })
    })
  // The driver knows this option, its types do not.
  const options: Options<Record<string, PostgresType>> & { socket: () => Promise<Socket> } = {
    host: '127.0.0.1',
    port,
    user: 'kretes',
    password,
    // Not the application's, which it may want to drop.
    database: 'postgres',
    max: 1,
    // The lock lives as long as the connection.
    idle_timeout: 0,
    max_lifetime: null,
    connect_timeout: 5,
    prepare: false,
    fetch_types: false,
    ssl: false,
    onnotice: () => {},
    connection: { ...SETTINGS, application_name: name, 'kretes.patience': String(Math.ceil(patienceMs / 500)) },
    socket: open
  }
  const session = postgres(options)
  return {
    session,
    setWaiting(value) {
      isWaiting = value
      if (isWaiting) socket?.ref()
      else socket?.unref()
    },
    drop() {
      // The driver waits for the server to close its side, and for a socket that is not connected yet.
      isDropped = true
      socket?.destroy()
      void session.end({ timeout: 0 })
    }
  }
}

/** Nothing ends a session that waits, or one whose client has gone. The driver leaves out what is no text and false. */
const SETTINGS = {
  statement_timeout: '0' as unknown as number,
  idle_session_timeout: '0' as unknown as number,
  client_connection_check_interval: '0',
  client_min_messages: 'error'
}
