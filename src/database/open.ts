import process from 'node:process'
import postgres, { type Options, type Sql } from 'postgres'
import { readAddress } from './address/address.ts'
import { optionsForPostgres } from './address/drivers.ts'
import { chooseDatabase, type DatabaseChoice, describeUrl } from './choose.ts'
import type { EmbeddedServer } from './embedded.ts'

/** A database that was found, started if need be, and can be left. */
export interface Database {
  /** Who named it. */
  readonly origin: DatabaseChoice['origin']
  /** The connection string; `undefined` where `PG*` says it all or the caller gave a client. */
  readonly url: string | undefined
  /** How a log may name it: no password in it. */
  readonly label: string
  /** The embedded server, if it is that. */
  readonly embedded: EmbeddedServer | undefined
  /** A client of the caller's. */
  readonly client: Sql | undefined
  /** Leaves it; an embedded server stops with the last process that uses it. */
  release(): Promise<void>
}

/** What {@linkcode openDatabase} takes. */
export interface OpenOptions {
  readonly connection?: string | URL | Sql
  /** Told in words what takes a while. */
  readonly onProgress?: (message: string) => void
  readonly signal?: AbortSignal
}

/** Finds the database that an application means, starting the embedded server if it names none. */
export async function openDatabase({ connection, onProgress, signal }: OpenOptions): Promise<Database> {
  const { origin, url, client } = chooseDatabase(connection, process.env)
  if (origin !== 'embedded') {
    const label = client ? 'the database of the given client' : describeUrl(url, process.env)
    return { origin, url, client, label, embedded: undefined, release: async () => {} }
  }
  // Loaded only here: an application with a database of its own never needs it.
  const { findProject, openEmbedded } = await import('./embedded.ts')
  const embedded = await openEmbedded({ project: findProject(process.cwd()), onProgress, signal })
  return {
    origin,
    url: embedded.url,
    client,
    label: describeUrl(embedded.url),
    embedded,
    release: () => embedded.release()
  }
}

/** What {@linkcode connect} takes. */
export interface ConnectOptions {
  /** How many connections at most. */
  readonly max: number
  /** Whether statements are prepared by name; a pooler in transaction mode may not allow it. */
  readonly prepare?: boolean
  /** What `pg_stat_activity` shows, unless the connection string or `PGAPPNAME` says so itself. */
  readonly name: string
}

/** A client of the driver's for a database. It connects when first used; sessions take its options. */
export function connect(database: Pick<Database, 'url'>, { max, prepare = true, name }: ConnectOptions): Sql {
  const options = {
    ...optionsForPostgres(readAddress(database.url, process.env), name),
    max,
    prepare,
    // Array types are not asked for. Ours are text, numbers, times and JSON: a round trip less.
    fetch_types: false,
    onnotice: () => {}
  }
  return postgres(options as unknown as Options<Record<string, never>>)
}

/** A client with the options to connect with. It runs no statement. */
export function templateOf({ client, url }: Database): Sql {
  return client ?? connect({ url }, { max: 1, name: 'kretes' })
}
