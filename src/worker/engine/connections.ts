import process from 'node:process'
import pg from 'pg'
import { readAddress } from '../../database/address/address.ts'
import { optionsForPg } from '../../database/address/drivers.ts'
import { createHangDetector, type Watched } from '../../database/connections/hangs.ts'
import type { Session } from '../../database/connections/session.ts'
import { createSockets } from '../../database/connections/sockets.ts'
import type { Logger } from '../../logger.ts'
import { connectionTimings } from '../../rules/timings.ts'
import { beginFitStatement, type Introduction } from '../../sql/database/settings.ts'
import { commitStatement, type Execute, type Statement } from '../../sql/statement.ts'
import { introduce, sever } from './client.ts'
import { createRoute } from './route.ts'

/** The options of {@linkcode openConnections}. */
export interface ConnectionsOptions {
  /** The connection string; with `undefined` the `PG*` variables name the database. */
  readonly url: string | undefined
  readonly max: number
  /** Whether to use named prepared statements. */
  readonly prepare: boolean
  readonly logger: Logger
  /** Opens a session that looks whether these hang. */
  probe(): Session
  /** Called when a connection was found to hang. */
  onHung(): void
}

/** The connections of the engine. */
export interface Connections {
  readonly max: number
  /** Runs a statement on a free connection. */
  readonly execute: Execute
  /** Takes a connection out of the pool until it is released. */
  acquire(): Promise<pg.PoolClient>
  /** Closes a connection that does not answer a statement. Call it before the statement, and its result after the answer. */
  watch(client: pg.ClientBase, text: string): () => void
  /** Closes the idle connections, because another connection hangs. */
  closeIdle(): void
  /** Closes all connections. Those that are busy or do not answer are closed after a moment. */
  close(): Promise<void>
}

/** Opens connections when they are needed. A connection on which a statement fails is not used again. */
export function openConnections({ url, max, prepare, logger, probe, onHung }: ConnectionsOptions): Connections {
  const sockets = createSockets()
  const servers = optionsForPg(readAddress(url, process.env), 'kretes worker')
  const route = createRoute(servers)
  const introductions = new WeakMap<pg.ClientBase, Introduction>()
  const idle = new Set<object>()
  const busy = new Set<Watched>()
  const hangs = createHangDetector(busy, probe, onHung)
  const pool = new pg.Pool({
    ...servers[0],
    max,
    stream: () => sockets.create(),
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    idleTimeoutMillis: 30_000,
    async onConnect(client) {
      const introduction = await introduce(client, connectionTimings.introduceMs)
      if (introduction) introductions.set(client, introduction)
    }
  })
  // Without a listener, a connection that breaks while it is idle would end the process.
  pool.on('error', error => logger.debug(`A connection broke: ${error.message}`))
  pool.on('connect', client => client.on('error', () => {}))
  pool.on('acquire', client => idle.delete(client))
  pool.on('release', (error, client) => {
    if (!error) idle.add(client)
  })
  pool.on('remove', client => idle.delete(client))

  async function acquire(): Promise<pg.PoolClient> {
    for (let tries = 1; ; tries++) {
      try {
        return await pool.connect()
      } catch (error) {
        if (!route.turn(pool, error, tries)) throw error
      }
    }
  }

  function watch(client: pg.ClientBase, text: string): () => void {
    const watched = { oldest: { text }, backend: introductions.get(client)?.pid, abandon: () => sever(client) }
    busy.add(watched)
    hangs.watch()
    return () => void busy.delete(watched)
  }

  async function execute<Row>({ text, values, name }: Statement): Promise<readonly Row[]> {
    const client = await acquire()
    const introduction = introductions.get(client)
    const answered = watch(client, text)
    try {
      const isFit = introduction?.is_fit !== false
      if (!isFit) await client.query(beginFitStatement.text)
      const query = { text, values: values as (string | null)[], ...(prepare && name !== undefined && { name }) }
      const { rows } = await client.query(query)
      if (!isFit) await client.query(commitStatement.text)
      client.release()
      return rows as readonly Row[]
    } catch (error) {
      // Passing the error closes the connection, since the error may have left a transaction open.
      client.release(error as Error)
      throw error
    } finally {
      answered()
    }
  }

  return {
    max,
    execute,
    acquire,
    watch,
    closeIdle() {
      for (const client of idle) sever(client)
    },
    async close() {
      const closed = Promise.withResolvers<void>()
      // It keeps the process alive: what awaits the end of a worker must see it.
      const timer = setTimeout(closed.resolve, connectionTimings.closeMs)
      Promise.all([pool.end().catch(() => {}), hangs.end()]).then(() => closed.resolve())
      await closed.promise
      clearTimeout(timer)
      sockets.destroy()
    }
  }
}
