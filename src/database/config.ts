import type { Sql } from 'postgres'
import { BackgroundError } from '../errors.ts'

/** Where the database comes from, and how a log may name it. */
export interface DatabaseChoice {
  /** Who named the database. */
  readonly origin: 'option' | 'DATABASE_URL' | 'PG*' | 'embedded'
  /** A connection string; `undefined` leaves it to the driver, which reads `PG*` itself, or to the embedded server. */
  readonly url?: string
  /** A client of the caller's, which stays the caller's to close. */
  readonly client?: Sql
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Decides which database to use: what the caller names, then `DATABASE_URL`, then `PG*`, then the embedded server.
 *
 * @throws {TypeError} if the connection is neither a connection string nor a client
 * @throws {BackgroundError} `NO_DATABASE` where the embedded server would be a surprise: in production
 */
export function chooseDatabase(connection: string | URL | Sql | undefined, env: Environment): DatabaseChoice {
  if (typeof connection === 'function') return { origin: 'option', client: connection }
  if (connection !== undefined) return { origin: 'option', url: validUrl(String(connection), 'the connection') }
  if (env.DATABASE_URL) return { origin: 'DATABASE_URL', url: validUrl(env.DATABASE_URL, 'DATABASE_URL') }
  if (env.PGHOST || env.PGDATABASE) return { origin: 'PG*' }
  if (env.NODE_ENV === 'production') {
    throw new BackgroundError(
      'NO_DATABASE',
      'Cannot choose a database: NODE_ENV is production and none is named. Set DATABASE_URL to its connection string'
    )
  }
  return { origin: 'embedded' }
}

/** A connection string without its password and parameters: what a log may show. */
export function describeUrl(url: string | undefined, env: Environment = {}): string {
  if (url === undefined) {
    const host = env.PGHOST ?? 'localhost'
    return `${host}${env.PGPORT ? `:${env.PGPORT}` : ''}/${env.PGDATABASE ?? env.PGUSER ?? ''}`
  }
  const { host, pathname, username } = new URL(url)
  return `${username && `${username}@`}${host || 'localhost'}${pathname}`
}

/**
 * The connection string as postgres.js wants it: it hands parameters that it does not know to the server, which refuses
 * those that Prisma puts there for itself.
 */
export function urlForPostgres(url: string): string {
  const parsed = new URL(url)
  for (const name of PRISMA_PARAMETERS) parsed.searchParams.delete(name)
  return parsed.href
}

/** The connection string as pg wants it, so that `sslmode` means to both drivers what it means to libpq. */
export function urlForPg(url: string): string {
  const parsed = new URL(url)
  const hasSslMode = parsed.searchParams.has('sslmode') && !parsed.searchParams.has('uselibpqcompat')
  if (hasSslMode) parsed.searchParams.set('uselibpqcompat', 'true')
  return parsed.href
}

const PRISMA_PARAMETERS = ['schema', 'connection_limit', 'pool_timeout', 'pgbouncer']

function validUrl(url: string, what: string): string {
  // The value itself stays out of the message: it holds a password.
  if (!URL.canParse(url))
    throw new TypeError(`Cannot use ${what}: it is not a URL such as postgres://user@host/database`)
  const { protocol, username, password, pathname } = new URL(url)
  if (protocol !== 'postgres:' && protocol !== 'postgresql:') {
    throw new TypeError(`Cannot use ${what}: its scheme is ${protocol.slice(0, -1)}, not postgres`)
  }
  for (const [part, text] of Object.entries({ user: username, password, database: pathname })) {
    // The drivers decode each part, and would say no more than that it is malformed.
    if (/%(?![0-9a-f]{2})/i.test(text)) {
      throw new TypeError(
        `Cannot use ${what}: a % in its ${part} is not followed by two hexadecimal digits; write it as %25`
      )
    }
    if (!isText(text)) throw new TypeError(`Cannot use ${what}: what its ${part} writes with % is no text in UTF-8`)
  }
  return url
}

function isText(encoded: string): boolean {
  try {
    decodeURIComponent(encoded)
    return true
  } catch {
    return false
  }
}
