import { relative } from 'node:path'
import process from 'node:process'
import postgres, { type Options, type Sql } from 'postgres'
import { BackgroundError } from '../errors.ts'
import { readAddress } from './address/address.ts'
import { optionsForPostgres } from './address/drivers.ts'
import { chooseDatabase, type DatabaseChoice, describeUrl } from './choose.ts'
import type { EmbeddedServer } from './embedded.ts'
import { connectSockets, type Sockets } from './sockets.ts'

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

/**
 * Checks that a database exists. Commands that only read must not create the embedded one.
 *
 * @param doing the action that needs the database, as in `list jobs`
 * @throws {BackgroundError} `NO_DATABASE` if there is none
 */
export async function requireDatabase(connection: OpenOptions['connection'], doing: string): Promise<void> {
  if (chooseDatabase(connection, process.env).origin !== 'embedded') return
  const { findProject, hasEmbedded, homeOf } = await import('./embedded.ts')
  const project = findProject(process.cwd())
  if (await hasEmbedded(project)) return
  throw new BackgroundError(
    'NO_DATABASE',
    `Cannot ${doing}: there is no database in ${relative('.', homeOf(project))}/ yet. Start a worker or schedule a job, which creates it, or name another database with DATABASE_URL`
  )
}

/** The options of {@linkcode connect}. */
export interface ConnectOptions {
  /** The largest number of connections. */
  readonly max: number
  /** Whether to use named prepared statements. A pooler in transaction mode may not support them. */
  readonly prepare?: boolean
  /** The name that `pg_stat_activity` shows. The connection string and `PGAPPNAME` win over it. */
  readonly name: string
  /** Whether a connection stays open when it is idle. */
  readonly isLasting?: boolean
  /** Creates the sockets, if the caller needs to close them. */
  readonly sockets?: Sockets
  /** Called when a connection has closed. */
  readonly onClose?: () => void
}

/** Creates a client of the driver for a database. It connects on first use. Sessions use its options. */
export function connect(
  database: Pick<Database, 'url'>,
  { max, prepare = true, name, isLasting = false, sockets, onClose }: ConnectOptions
): Sql {
  const options = {
    ...optionsForPostgres(readAddress(database.url, process.env), name),
    max,
    prepare,
    // A script that does not close its client can still end after this many seconds.
    idle_timeout: isLasting ? 0 : 10,
    ...(isLasting && { max_lifetime: null }),
    // The driver's own pauses grow to 20 seconds. Peers would declare a worker dead that comes back so late.
    ...(sockets && { backoff: () => 0.1 + Math.random() * 0.9 }),
    // Saves a round trip: our columns are text, numbers, times and JSON, so the driver need not fetch array types.
    fetch_types: false,
    onnotice: () => {},
    onclose: onClose,
    ...(sockets && { socket: connectSockets(sockets) })
  }
  return postgres(options as unknown as Options<Record<string, never>>)
}
