import { randomBytes } from 'node:crypto'
import postgres from 'postgres'
import { onceDone } from './cleanup.ts'
import { type Server, startServer } from './server.ts'

/** A database of its own for one suite. */
export interface TestDatabase {
  readonly url: string
  readonly name: string
  /** A client of it, for looking and preparing. */
  readonly sql: postgres.Sql
  /** Ends the client, and the database with whoever is still connected. Happens by itself when the tests are over. */
  drop(): Promise<void>
}

/**
 * Creates an empty database.
 *
 * @param on a server; without, the run's, or one that is started for this process when run by hand
 */
export async function createDatabase(on?: string): Promise<TestDatabase> {
  const server = on ?? process.env.KRETES_TEST_SERVER ?? (await ownServer()).url
  const name = `test_${randomBytes(6).toString('hex')}`
  await maintain(server, sql => sql`create database ${sql(name)}`)
  const url = new URL(server)
  url.pathname = `/${name}`
  const sql = postgres(url.href, { max: 4, onnotice: () => {} })
  let dropped: Promise<void> | undefined
  const drop = (): Promise<void> => {
    dropped ??= sql
      .end({ timeout: 1 })
      .then(() => maintain(server, admin => admin`drop database if exists ${admin(name)} with (force)`))
    return dropped
  }
  onceDone(drop)
  return { url: url.href, name, sql, drop }
}

let started: Promise<Server> | undefined

function ownServer(): Promise<Server> {
  started ??= startServer().then(server => {
    onceDone(server.stop)
    return server
  })
  return started
}

async function maintain(url: string, statement: (sql: postgres.Sql) => PromiseLike<unknown>): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  try {
    await statement(sql)
  } finally {
    await sql.end({ timeout: 1 })
  }
}
