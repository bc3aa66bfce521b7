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

/** What {@linkcode createDatabase} takes. */
export interface DatabaseOptions {
  /**
   * The URL of a server.
   *
   * @default the server of the run, or one for this process if the file runs by hand
   */
  on?: string
  /**
   * Whether the database lacks the schemas that a migration installs.
   *
   * @default false
   */
  isEmpty?: boolean
}

/** Creates a database without jobs. A test that is about migrations asks for an empty one. */
export async function createDatabase({ on, isEmpty = false }: DatabaseOptions = {}): Promise<TestDatabase> {
  const server = on ?? (await defaultServer())
  if (!isEmpty) await ensureTemplate(server)
  const name = `test_${randomBytes(6).toString('hex')}`
  await maintain(server, async sql => {
    const [setting] = await sql<{ version: number }[]>`select current_setting('server_version_num')::int as version`
    // Versions before 15 know no other strategy. To copy files takes a fifth of the time that the log takes.
    const strategy = (setting?.version ?? 0) < 150_000 ? sql`` : sql`strategy file_copy`
    await sql`create database ${sql(name)} template ${sql(isEmpty ? 'template1' : TEMPLATE)} ${strategy}`
  })
  const url = urlOf(server, name)
  const sql = postgres(url, { max: 4, onnotice: () => {} })
  let dropped: Promise<void> | undefined
  const drop = (): Promise<void> => {
    dropped ??= sql
      .end({ timeout: 1 })
      .then(() => maintain(server, admin => admin`drop database if exists ${admin(name)} with (force)`))
    return dropped
  }
  onceDone(drop)
  return { url, name, sql, drop }
}

/** Migrates the database of a server that {@linkcode createDatabase} clones. */
export async function createTemplate(server: string): Promise<void> {
  // Loaded only here: most files find the template ready.
  const { createBackground } = await import('../../src/background.ts')
  await maintain(server, sql => sql`create database ${sql(TEMPLATE)}`)
  await using background = createBackground({ connection: urlOf(server, TEMPLATE) })
  await background.migrate()
}

const TEMPLATE = 'kretes_template'

const templates = new Map<string, Promise<void>>()

function ensureTemplate(server: string): Promise<void> {
  // The runner has prepared its own.
  if (server === process.env.KRETES_TEST_SERVER) return Promise.resolve()
  const template = templates.get(server) ?? createTemplate(server)
  templates.set(server, template)
  return template
}

let started: Promise<Server> | undefined

async function defaultServer(): Promise<string> {
  if (process.env.KRETES_TEST_SERVER) return process.env.KRETES_TEST_SERVER
  started ??= startServer().then(server => {
    onceDone(server.stop)
    return server
  })
  return (await started).url
}

function urlOf(server: string, database: string): string {
  return Object.assign(new URL(server), { pathname: `/${database}` }).href
}

async function maintain(url: string, statement: (sql: postgres.Sql) => PromiseLike<unknown>): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  try {
    await statement(sql)
  } finally {
    await sql.end({ timeout: 1 })
  }
}
