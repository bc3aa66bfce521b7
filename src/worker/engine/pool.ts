/**
 * The engine's way to the database, and the place where kretes takes over. The engine asks this pool for jobs by SQL,
 * and tells it by SQL that jobs are done. The pool recognizes these statements by their names and does not send them.
 * The {@linkcode JobStore} of kretes answers them with statements of its own. `engine.ts` describes the whole loop.
 *
 * @module
 */
import { EventEmitter } from 'node:events'
import type pg from 'pg'
import type { Outage } from '../outage.ts'
import type { Connections } from './connections.ts'
import { type EngineStatement, recognizeStatement } from './statements.ts'
import type { JobStore } from './store.ts'

/** The options of {@linkcode createEnginePool}. */
export interface EnginePoolOptions {
  readonly connections: Connections
  readonly store: JobStore
  readonly outage: Outage
  /** Aborts everything that waits for the database. */
  readonly signal: AbortSignal
}

/**
 * Creates the pool that the engine uses in place of a pool of node-postgres. The store answers the engine's statements
 * about jobs; the connections run all others. The engine would end if it could not write that a job is done, so its
 * statements wait while the database is unavailable.
 */
export function createEnginePool({ connections, store, outage, signal }: EnginePoolOptions): pg.Pool {
  const outlast = <Result>(work: () => Promise<Result>): Promise<Result> => outage.outlast(work, signal)

  /** The engine passes a callback only for its listening connection. Its own retries would pause for up to a minute. */
  function connect(callback?: ConnectCallback): Promise<EngineClient> | undefined {
    if (!callback) return Promise.resolve(createClient())
    outlast(connections.acquire).then(
      client => callback(undefined, client, error => client.release(error as Error | undefined)),
      error => callback(error, undefined, () => {})
    )
  }

  /** Creates a client that uses any connection for each statement, or one for all statements after a `begin`. */
  function createClient(): EngineClient {
    let held: pg.PoolClient | undefined
    return {
      async query(given, values) {
        const statement = typeof given === 'string' ? { text: given, values } : given
        if (!held && !/^\s*begin\b/i.test(statement.text)) return { rows: await answer(statement) }
        held ??= await connections.acquire()
        return await held.query(statement.text, statement.values as unknown[])
      },
      release: () => held?.release()
    }
  }

  async function answer(statement: EngineStatement): Promise<readonly unknown[]> {
    const request = recognizeStatement(statement)
    switch (request.kind) {
      case 'claim':
        return await store.claim()
      case 'settle':
        await store.settle(request.jobs)
        return []
      case 'give back':
        await store.giveBack(request.ids)
        return []
      case 'unlock stale':
        await store.unlockStale()
        return []
      case 'abandon':
        return []
      case 'other':
        return await outlast(() => connections.execute({ ...statement, values: (statement.values ?? []) as never }))
    }
  }

  const { query } = createClient()
  const pool = Object.assign(new EventEmitter(), { options: { max: connections.max }, connect, query })
  // Without these listeners, the engine adds its own.
  for (const event of ['error', 'connect']) pool.on(event, () => {})
  return pool as unknown as pg.Pool
}

interface EngineClient {
  query(
    statement: string | EngineStatement,
    values?: readonly unknown[]
  ): Promise<{ readonly rows: readonly unknown[] }>
  release(): void
}

type ConnectCallback = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (release?: unknown) => void
) => void
