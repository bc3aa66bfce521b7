import { relative } from 'node:path'
import process from 'node:process'
import postgres, { type Options, type Sql } from 'postgres'
import { BackgroundError } from '../errors.ts'
import { readAddress } from './address/address.ts'
import { optionsForPostgres } from './address/drivers.ts'
import { chooseDatabase, type DatabaseChoice, describeUrl } from './choose.ts'
import type { EmbeddedServer } from './embedded.ts'
import { connectSockets, type Sockets } from './sockets.ts'

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

/** The options of {@linkcode openDatabase}. */
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

/**
 * Makes sure that there is a database to look into: a look does not create the embedded one.
 *
 * @param doing what needs it, as in `list jobs`
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
  /** How many connections at most. */
  readonly max: number
  /** Whether statements are prepared by name; a pooler in transaction mode may not allow it. */
  readonly prepare?: boolean
  /** What `pg_stat_activity` shows, unless the connection string or `PGAPPNAME` says so itself. */
  readonly name: string
  /** Whether a connection stays open when it is idle. */
  readonly isLasting?: boolean
  /** Where its sockets come from, if somebody wants to have a hand on them. */
  readonly sockets?: Sockets
  /** Called when a connection has closed. */
  readonly onClose?: () => void
}

/** A client of the driver's for a database. It connects when first used; sessions take its options. */
export function connect(
  database: Pick<Database, 'url'>,
  { max, prepare = true, name, isLasting = false, sockets, onClose }: ConnectOptions
): Sql {
  const options = {
    ...optionsForPostgres(readAddress(database.url, process.env), name),
    max,
    prepare,
    // A script that forgets to close ends by itself after this many seconds.
    idle_timeout: isLasting ? 0 : 10,
    ...(isLasting && { max_lifetime: null }),
    // The driver's own pauses grow to 20 seconds; peers would take a worker for dead that comes back so late.
    ...(sockets && { backoff: () => 0.1 + Math.random() * 0.9 }),
    // Array types are not asked for. Ours are text, numbers, times and JSON: a round trip less.
    fetch_types: false,
    onnotice: () => {},
    onclose: onClose,
    ...(sockets && { socket: connectSockets(sockets) })
  }
  return postgres(options as unknown as Options<Record<string, never>>)
}
