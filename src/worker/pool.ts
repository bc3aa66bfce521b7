import process from 'node:process'
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import { readAddress } from '../database/address/address.ts'
import { optionsForPg } from '../database/address/drivers.ts'
import { createSockets, type Sockets } from '../database/sockets.ts'
import { beginFitStatement, type Introduction, introduceStatement, WORKER_SETTINGS } from '../sql/database/settings.ts'
import { beginStatement, commitStatement } from '../sql/statement.ts'
import { jobsOf } from '../sql/worker/claim.ts'
import type { FailStatement } from './failures.ts'
import { persist } from './persist.ts'
import type { EnginePoolOptions, Statement } from './pool-options.ts'
import { refuseReadOnly } from './readonly.ts'
import { repeat } from './repeat.ts'
import { createRoute, type Route } from './route.ts'
import { classify, idsOf, partOf, type Settled, sizeOf } from './settled.ts'
import { sever } from './sever.ts'

/**
 * The connections of the engine. It gives up for good when it cannot write that a job is done; so its statements, all
 * of which may be repeated, are repeated here until the database is back, and the engine never notices.
 */
export class EnginePool extends pg.Pool {
  readonly #options: EnginePoolOptions
  readonly #sockets: Sockets
  readonly #route: Route
  readonly #introductions: WeakMap<pg.ClientBase, Introduction> = new WeakMap()
  readonly #idle: Set<pg.PoolClient> = new Set()
  readonly #returning: Set<Promise<unknown>> = new Set()
  #isFetching = false
  readonly #draining: AbortController = new AbortController()
  readonly #closing: AbortController = new AbortController()

  constructor(options: EnginePoolOptions) {
    const sockets = createSockets()
    const servers = optionsForPg(readAddress(options.url, process.env), 'kretes worker')
    super({
      ...servers[0],
      max: options.max,
      stream: () => sockets.create(),
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      idleTimeoutMillis: 30_000,
      onConnect: async client => {
        await refuseReadOnly(client, CONNECT_TIMEOUT_MS)
        await this.#introduce(client)
      }
    })
    this.#options = options
    this.#sockets = sockets
    this.#route = createRoute(servers)
    // Without a listener a connection that breaks while idle would end the process. Whoever uses it next sees it too.
    this.on('error', error => options.logger.debug(`A connection broke: ${error.message}`))
    this.on('connect', client => client.on('error', () => {}))
    this.on('acquire', client => this.#idle.delete(client))
    this.on('release', (error, client) => {
      if (!error) this.#idle.add(client as pg.PoolClient)
    })
    this.on('remove', client => this.#idle.delete(client as pg.PoolClient))
  }

  /** Closes the connections that nobody uses now: another was found to hang, and these may, too. */
  distrust(): void {
    for (const client of this.#idle) sever(client)
  }

  /** With a callback, the engine asks for the connection on which it listens; its own pauses grow to a minute. */
  override connect(): Promise<pg.PoolClient>
  override connect(callback: ConnectCallback): void
  override connect(callback?: ConnectCallback): unknown {
    if (!callback) return Promise.resolve(this.#facade() as unknown as pg.PoolClient)
    this.#persist(() => this.#acquire()).then(
      client => callback(undefined, client, error => client.release(error as Error | undefined)),
      error => callback(error, undefined, () => {})
    )
  }

  /** Whether a fetch is under way. */
  get isFetching(): boolean {
    return this.#isFetching
  }

  /** Fetches no more, and stops repeating a fetch: what it would bring is not wanted any more. */
  drain(): void {
    this.#draining.abort()
  }

  /** Stops repeating anything, so that whoever waits for the database learns that it is over. */
  giveUp(): void {
    this.#draining.abort()
    this.#closing.abort()
  }

  /** Closes all connections; those that are busy, or whose peer does not answer, after a moment. */
  async close(): Promise<void> {
    const closed = this.end().catch(() => {})
    await Promise.race([closed, setTimeout(CLOSE_TIMEOUT_MS, undefined, { ref: false })])
    this.#sockets.destroy()
  }

  /** A client that takes a connection for each statement, or one for all of them once a transaction has begun. */
  #facade(): EngineClient {
    let held: pg.PoolClient | undefined
    return {
      query: async (statement, values) => {
        const config: Statement = typeof statement === 'string' ? { text: statement, values } : statement
        if (!held && !/^\s*begin\b/i.test(config.text)) return await this.#run(config)
        held ??= await this.#acquire()
        return await held.query(config.text, config.values as unknown[])
      },
      release: () => held?.release()
    }
  }

  async #run(config: Statement): Promise<pg.QueryResult> {
    const settled: Settled = { ...classify(config.name), size: sizeOf(config.name), values: config.values ?? [] }
    const { kind } = settled
    // Forced to stop, the engine fails all jobs at hand at once, and nothing is decided of them.
    const isDecided = kind === 'fail' && !Array.isArray(settled.values[0])
    const carryOut = async (part: Settled = settled): Promise<pg.QueryResult> => {
      const original = part === settled ? config : { ...config, values: part.values }
      const statement = this.#unnamed(this.#replacement(part) ?? original)
      const result = await (isDecided ? this.#fail(statement) : this.#query(statement))
      if (kind !== 'other') this.#options.onSettled(part)
      return result
    }
    if (kind === 'fetch') {
      const fetch = (): Promise<pg.QueryResult> => this.#claim(settled) ?? carryOut()
      return await this.#persist(() => this.#fetch(fetch), this.#draining.signal)
    }
    const write = (part?: Settled): Promise<pg.QueryResult> => this.#persist(() => carryOut(part))
    if (kind === 'other' || kind === 'unlock') return await write()
    const { insist, logger } = this.#options
    const work =
      insist && kind !== 'return'
        ? insist(idsOf(settled), ids => write(partOf(settled, ids)), this.#closing.signal)
        : repeat(() => write(), { logger, signal: this.#closing.signal })
    if (kind === 'return') this.#holdFetches(work)
    return await work
  }

  /** What is done in place of a statement of the engine's. */
  #replacement(settled: Settled): Statement | undefined {
    if (settled.kind === 'complete') return this.#options.complete?.(settled)
    return settled.kind === 'unlock' ? this.#options.unlock : undefined
  }

  /** Looks behind the queues that are stuck, until there are jobs or no more such queues; without a claim, nothing. */
  #claim(fetch: Settled): Promise<pg.QueryResult> | undefined {
    const { claim, onSettled } = this.#options
    const { size, values } = fetch
    if (!claim || size === undefined) return undefined
    const look = async (without: readonly number[]): Promise<pg.QueryResult> => {
      const result = await this.#query(this.#unnamed(claim(String(values[0]), size, without)))
      const { jobs, stuck } = jobsOf(result.rows)
      if (stuck.length > 0) return await look([...without, ...stuck])
      onSettled(fetch)
      return { ...result, rows: jobs, rowCount: jobs.length }
    }
    return look([])
  }

  #unnamed(statement: Statement): Statement {
    return this.#options.prepare ? statement : { text: statement.text, values: statement.values }
  }

  async #fetch(carryOut: () => Promise<pg.QueryResult>): Promise<pg.QueryResult> {
    this.#isFetching = true
    try {
      await Promise.allSettled(this.#returning)
      if (!this.#draining.signal.aborted) await this.#options.beforeFetch(this.#draining.signal)
      if (this.#draining.signal.aborted) return NOTHING
      return await carryOut().catch(error => {
        this.#options.onFetchLost()
        throw error
      })
    } finally {
      this.#isFetching = false
    }
  }

  /** Were jobs fetched again while their return is repeated, the repetition would give them away while they run. */
  #holdFetches(work: Promise<unknown>): void {
    this.#returning.add(work)
    const forget = (): void => void this.#returning.delete(work)
    work.then(forget, forget)
  }

  #query(statement: Statement): Promise<pg.QueryResult> {
    return this.#use(async client => {
      if (this.#introductions.get(client)?.is_fit !== false) return await client.query(statement as pg.QueryConfig)
      await client.query(beginFitStatement.text)
      const result = await client.query(statement as pg.QueryConfig)
      await client.query(commitStatement.text)
      return result
    })
  }

  /** Repeated as a whole if the connection breaks, like any other statement. */
  #fail(statement: Statement): Promise<pg.QueryResult> {
    return this.#use(async client => {
      await client.query(beginStatement.text)
      await this.#options.fail(statement as FailStatement, async <Row>(query: Statement) => {
        const { rows } = await client.query(query as pg.QueryConfig)
        return rows as readonly Row[]
      })
      return await client.query(commitStatement.text)
    })
  }

  /** Whatever state a connection is in after an error, it ends with it. */
  async #use(work: (client: pg.PoolClient) => Promise<pg.QueryResult>): Promise<pg.QueryResult> {
    const client = await this.#acquire()
    const answered = this.#options.watch.add(this.#introductions.get(client)?.pid ?? 0, () => {
      sever(client)
      this.#options.onHung()
    })
    try {
      const result = await work(client)
      client.release()
      return result
    } catch (error) {
      client.release(error as Error)
      throw error
    } finally {
      answered()
    }
  }

  async #acquire(): Promise<pg.PoolClient> {
    for (let tries = 1; ; tries++) {
      try {
        return await new Promise((resolve, reject) => {
          super.connect((error, client) => (client ? resolve(client) : reject(error)))
        })
      } catch (error) {
        if (!this.#route.turn(this, error, tries)) throw error
      }
    }
  }

  /** States what a connection relies on, and asks which backend serves it; behind a pooler the driver would not know. */
  async #introduce(client: pg.ClientBase): Promise<void> {
    const { text } = introduceStatement(WORKER_SETTINGS)
    const statement = { text, values: endsOf(client), query_timeout: CONNECT_TIMEOUT_MS }
    const { rows } = await client.query<Introduction>(statement)
    if (rows[0]) this.#introductions.set(client, rows[0])
  }

  #persist<Result>(work: () => Promise<Result>, signal: AbortSignal = this.#closing.signal): Promise<Result> {
    return persist(work, { outage: this.#options.outage, signal })
  }
}

type ConnectCallback = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (release?: unknown) => void
) => void

/** The backend of a connection as the driver knows it, and the port at this end. The types of pg leave them out. */
function endsOf(client: pg.ClientBase): string[] {
  const { processID, connection } = client as unknown as { processID: number | null; connection: pg.Connection }
  const { localPort } = connection.stream as { localPort?: number }
  return [processID, localPort].map(part => String(part ?? ''))
}

interface EngineClient {
  query(statement: string | Statement, values?: readonly unknown[]): Promise<pg.QueryResult>
  release(): void
}

const NOTHING: pg.QueryResult = { command: 'UPDATE', rowCount: 0, oid: 0, fields: [], rows: [] }

const CONNECT_TIMEOUT_MS = 10_000
const CLOSE_TIMEOUT_MS = 1_000
