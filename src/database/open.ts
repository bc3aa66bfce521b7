import process from 'node:process'
import postgres, { type Options, type Sql } from 'postgres'
import { readAddress } from './address/address.ts'
import { optionsForPostgres } from './address/drivers.ts'
import { chooseDatabase, type DatabaseChoice, describeUrl } from './choose.ts'
import type { EmbeddedServer } from './embedded.ts'

/** An open database. An embedded server runs until all processes have released it. */
export interface Database {
  /** The option, the variable or the default that named the database. */
  readonly origin: DatabaseChoice['origin']
  /** The connection string; `undefined` if `PG*` names the database or the caller passed a client. */
  readonly url: string | undefined
  /** The name of the database for logs, without a password. */
  readonly label: string
  /** The embedded server, if the database is one. */
  readonly embedded: EmbeddedServer | undefined
  /** The client that the caller passed. */
  readonly client: Sql | undefined
  /** Releases the database. An embedded server stops when the last process releases it. */
  release(): Promise<void>
}

/** The options of {@linkcode openDatabase}. */
export interface OpenOptions {
  readonly connection?: string | URL | Sql
  /** Receives messages about steps that take a while. */
  readonly onProgress?: (message: string) => void
  readonly signal?: AbortSignal
}

/** Finds the database of an application. Starts the embedded server if the application names none. */
export async function openDatabase({ connection, onProgress, signal }: OpenOptions): Promise<Database> {
  const { origin, url, client } = chooseDatabase(connection, process.env)
  if (origin !== 'embedded') {
    const label = client ? 'the database of the given client' : describeUrl(url, process.env)
    return { origin, url, client, label, embedded: undefined, release: async () => {} }
  }
  // Loaded only here, since an application with its own database does not need this module.
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
  /** The largest number of connections. */
  readonly max: number
  /** Whether to use named prepared statements. A pooler in transaction mode may not support them. */
  readonly prepare?: boolean
  /** The name that `pg_stat_activity` shows. The connection string and `PGAPPNAME` win over it. */
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
