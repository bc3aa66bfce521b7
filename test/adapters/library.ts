import { createBackground } from '../../src/background.ts'
import type { BackgroundClient } from '../../src/client.ts'
import type { ForeignTransaction } from '../../src/enqueue/adapters.ts'
import type { Scheduler } from '../../src/schedule.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'

/** A library that has transactions, as an application uses it. */
export interface Library {
  readonly name: string
  open(url: string): Client | Promise<Client>
}

/** What is connected to a database; at least two connections, so that transactions may be open at the same time. */
export interface Client {
  /** Runs work in a transaction that is rolled back if work throws. */
  transact(work: (transaction: Transaction) => Promise<unknown>): Promise<unknown>
  /** What could be mistaken for a transaction. */
  readonly pools: readonly ForeignTransaction[]
  close(): Promise<unknown>
}

/** An open transaction, or a savepoint in one. */
export interface Transaction {
  /** What the library hands out: this assignment is the type test of `Background.with`. */
  readonly handle: ForeignTransaction
  /** Runs a statement of the application. */
  run(text: string): PromiseLike<unknown>
  /** Runs work in a savepoint, by the library's own means if it has any, that is rolled back if work throws. */
  nest(work: (inner: Transaction) => Promise<unknown>): Promise<unknown>
}

/** A library with a database that it uses, and a Background that could reach none by itself. */
export interface Bench extends Client {
  readonly database: TestDatabase
  with(transaction: Transaction): Scheduler
  /** The keys of the jobs whose keys begin so, in order. */
  keysOf(prefix: string): Promise<string[]>
}

/** Opens a library on a database of its own. */
export async function openBench(library: Library, isMigrated = true): Promise<Bench> {
  const database = await createDatabase({ isEmpty: !isMigrated })
  const client = await library.open(database.url)
  onceDone(client.close)
  const background = createUnconnected()
  return {
    ...client,
    database,
    with: ({ handle }) => background.with(handle),
    async keysOf(prefix) {
      const rows = await database.sql<{ key: string }[]>`
        select key from graphile_worker.jobs where starts_with(key, ${prefix}) order by run_at, id`
      return rows.map(({ key }) => key)
    }
  }
}

/** A Background whose own connections would all fail: what works, works in the transaction. */
export function createUnconnected(schema?: string): BackgroundClient {
  return createBackground({ connection: 'postgres://nobody@127.0.0.1:1/none', schema })
}

/** Runs work in a savepoint, for libraries that leave that to SQL. */
export async function nestInSql<Inner extends Transaction>(
  transaction: Inner,
  work: (inner: Inner) => Promise<unknown>
): Promise<unknown> {
  await transaction.run('savepoint nested')
  try {
    const result = await work(transaction)
    await transaction.run('release savepoint nested')
    return result
  } catch (error) {
    await transaction.run('rollback to savepoint nested')
    throw error
  }
}

/** What a call throws. */
export async function failureOf(call: Promise<unknown>): Promise<Error & { code?: unknown }> {
  try {
    await call
  } catch (error) {
    return error as Error
  }
  throw new Error('It did not fail')
}
