import type { Sql } from 'postgres'
import { BackgroundError } from '../errors.ts'
import { describeAddress, type Environment, readAddress } from './address/address.ts'

/** The database to use, and where its name comes from. */
export interface DatabaseChoice {
  /** The option, the variable or the default that named the database. */
  readonly origin: 'option' | 'DATABASE_URL' | 'PG*' | 'embedded'
  /** A connection string; `undefined` for `PG*` and for the embedded server. */
  readonly url?: string
  /** A client of the caller, which the caller closes. */
  readonly client?: Sql
}

/**
 * Decides which database to use: the caller's, then `DATABASE_URL`, then `PG*`, then the embedded server.
 *
 * @throws {TypeError} if the connection is neither a client nor a connection string that can be read
 * @throws {BackgroundError} `NO_DATABASE` in production if no database is named: it starts no embedded server there
 */
export function chooseDatabase(connection: string | URL | Sql | undefined, env: Environment): DatabaseChoice {
  if (typeof connection === 'function') return { origin: 'option', client: connection }
  if (connection !== undefined) return { origin: 'option', url: readable(String(connection), env, 'the connection') }
  if (env.DATABASE_URL) return { origin: 'DATABASE_URL', url: readable(env.DATABASE_URL, env, 'DATABASE_URL') }
  if (env.PGHOST || env.PGDATABASE) {
    readAddress(undefined, env, 'the PG* variables')
    return { origin: 'PG*' }
  }
  if (env.NODE_ENV === 'production') {
    throw new BackgroundError(
      'NO_DATABASE',
      'Cannot choose a database: NODE_ENV is production and none is named. Set DATABASE_URL to its connection string'
    )
  }
  return { origin: 'embedded' }
}

/** Returns the name of a database for logs, without password and parameters. */
export function describeUrl(url: string | undefined, env: Environment = {}): string {
  return describeAddress(readAddress(url, env), url !== undefined)
}

function readable(url: string, env: Environment, what: string): string {
  readAddress(url, env, what)
  return url
}
