import { connect, type Socket } from 'node:net'
import postgres, { type Options, type PostgresType } from 'postgres'
import { isRunning, keepServer, lockServer, stopWhenUnused } from '../../sql/database/embedded.ts'
import type { Execute, Statement } from '../../sql/statement.ts'
import { until } from './until.ts'

/**
 * The right to use the server: as long as its session is open, the server runs. The session holds a lock, by which a
 * server that is about to stop refuses new leases.
 */
export interface Lease {
  /** Keeps the server running when there is no lease and no other connection. */
  stay(): Promise<void>
  /** Whether the server keeps running. */
  isStaying(): Promise<boolean>
  /** Ends the session. Does nothing if the server is gone. */
  release(): Promise<void>
}

/** What {@linkcode takeLease} takes. */
export interface LeaseOptions {
  readonly port: number
  readonly password: string
  /** How long the server waits for its next user before it stops. */
  readonly patienceMs: number
}

/**
 * Takes a lease on a server, and has the server stop after its last connection, of any process.
 *
 * @returns `null` if the server is about to stop
 * @throws the driver's error if the server does not answer
 */
export async function takeLease(options: LeaseOptions): Promise<Lease | null> {
  const { execute, setWaiting, end: release } = openSession(options, NAME)
  try {
    if (!(await lockServer(execute))) {
      await release()
      return null
    }
    await leaveBehind(WATCH, stopWhenUnused)
  } catch (error) {
    await release()
    throw error
  }
  setWaiting(false)

  /** Starts a statement that runs on in the server without its client, unless one of that name runs. */
  async function leaveBehind(name: string, run: (execute: Execute) => Promise<void>): Promise<void> {
    if (await isRunning(execute, name)) return
    const left = openSession(options, name)
    let isOver = false
    void run(left.execute)
      .catch(() => {})
      .finally(() => (isOver = true))
    await until(async () => isOver || (await isRunning(execute, name)), BEGIN_MS)
    left.drop()
  }

  async function waitFor<Result>(work: Promise<Result>): Promise<Result> {
    setWaiting(true)
    return await work.finally(() => setWaiting(false))
  }

  return {
    stay: () => waitFor(leaveBehind(STAY, keepServer)),
    isStaying: () => waitFor(isRunning(execute, STAY)),
    release
  }
}

const NAME = 'kretes embedded'
const WATCH = 'kretes embedded watch'
const STAY = 'kretes embedded stay'
const BEGIN_MS = 5_000

interface Session {
  readonly execute: Execute
  /** Whether the open connection keeps the process alive. */
  setWaiting(isWaiting: boolean): void
  /** Closes the connection. Does nothing if the server is gone. */
  end(): Promise<void>
  /** Closes the connection at once and leaves its statement to the server. */
  drop(): void
}

function openSession({ port, password, patienceMs }: LeaseOptions, name: string): Session {
  let socket: Socket | undefined
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
  // The driver knows the option `socket`; its types do not.
  const options: Options<Record<string, PostgresType>> & { socket: () => Promise<Socket> } = {
    host: '127.0.0.1',
    port,
    user: 'kretes',
    password,
    // Not the application's database, which the application may want to drop.
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
  const client = postgres(options)
  return {
    execute: async <Row>({ text, values }: Statement) =>
      (await client.unsafe(text, [...values])) as unknown as readonly Row[],
    setWaiting: isWaiting => void (isWaiting ? socket?.ref() : socket?.unref()),
    end: () => client.end({ timeout: 1 }).catch(() => {}),
    drop() {
      // The driver would wait for the server to close its side, and for a socket that is not connected yet.
      isDropped = true
      socket?.destroy()
      void client.end({ timeout: 0 })
    }
  }
}

/** No timeout ends a session that waits or whose client is gone. As text, since the driver omits numbers that are 0. */
const SETTINGS = {
  statement_timeout: '0' as unknown as number,
  idle_session_timeout: '0' as unknown as number,
  client_connection_check_interval: '0',
  client_min_messages: 'error'
}
