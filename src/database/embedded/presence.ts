import { connect, type Socket } from 'node:net'
import postgres, { type Options, type PostgresType, type Sql } from 'postgres'
import { enterServer, isServerUsed, leaveServer, reopenServer } from '../../sql/embedded.ts'
import { clientWithoutHoles } from '../holes.ts'
import { until } from './until.ts'

/**
 * A session that marks this process as one that uses the server, by a shared lock. Who leaves last gets the lock for
 * itself alone: then nobody is there, and nobody comes in before the server has stopped. The server forgets the mark of
 * a process that dies.
 */
export interface Presence {
  /** Gives the mark back. True if nobody else is there; the door then stays shut until {@linkcode Presence.end}. */
  leave(): Promise<boolean>
  /** Ends the session, quietly if the server has gone. */
  end(): Promise<void>
}

/**
 * Enters a server.
 *
 * @returns `null` if somebody is about to stop it
 * @throws what the driver throws if the server does not answer
 */
export async function enter(port: number, password: string): Promise<Presence | null> {
  const { session, setWaiting } = openSession(port, password)
  const end = (): Promise<void> => session.end({ timeout: 1 }).catch(() => {})
  try {
    if (!(await enterServer(session))) {
      await end()
      return null
    }
  } catch (error) {
    await end()
    throw error
  }
  setWaiting(false)
  const leave = async (): Promise<boolean> => {
    setWaiting(true)
    if (!(await leaveServer(session))) return false
    // A session that was closed just now is listed for a moment longer.
    const isAlone = await until(async () => !(await isServerUsed(session, NAME)), GRACE_MS)
    if (!isAlone) await reopenServer(session)
    return isAlone
  }
  return { leave, end }
}

const NAME = 'kretes embedded'
const GRACE_MS = 300

/** A client with one connection, which keeps the process alive only while somebody waits for it. */
function openSession(port: number, password: string): { session: Sql; setWaiting: (isWaiting: boolean) => void } {
  let socket: Socket | undefined
  let isWaiting = true
  const open = (): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const opened = connect({ host: '127.0.0.1', port })
      opened.once('error', reject)
      opened.once('connect', () => {
        opened.off('error', reject)
        socket = opened
        resolve(opened)
      })
    })
  // The driver knows this option, its types do not.
  const options: Options<Record<string, PostgresType>> & { socket: () => Promise<Socket> } = {
    host: '127.0.0.1',
    port,
    user: 'kretes',
    password,
    database: 'kretes',
    max: 1,
    // The lock lives as long as the connection.
    idle_timeout: 0,
    max_lifetime: null,
    connect_timeout: 5,
    prepare: false,
    fetch_types: false,
    ssl: false,
    onnotice: () => {},
    connection: { application_name: NAME },
    socket: open
  }
  return {
    session: clientWithoutHoles(postgres(options)),
    setWaiting(value) {
      isWaiting = value
      if (isWaiting) socket?.ref()
      else socket?.unref()
    }
  }
}
