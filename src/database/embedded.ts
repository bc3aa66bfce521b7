import { join, relative } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { BackgroundError } from '../errors.ts'
import { findBinaries, prepareBinaries } from './embedded/binaries.ts'
import { type Cluster, createCluster, findCluster, refuseOtherVersion } from './embedded/cluster.ts'
import { embeddedFailure } from './embedded/failure.ts'
import { findPostmaster, type Postmaster, stopPostmaster } from './embedded/postmaster.ts'
import { enter, type Presence } from './embedded/presence.ts'
import { homeOf, openHome } from './embedded/project.ts'
import { moveStrays, wasStartedByBeta } from './embedded/repair.ts'
import { type Start, startPostmaster } from './embedded/start.ts'
import { sweepTrees } from './embedded/tree.ts'
import { codeOf } from './failure.ts'

export { findProject, homeOf } from './embedded/project.ts'

/** The project's own PostgreSQL server, running. */
export interface EmbeddedServer {
  /** The connection string, with the password in it. */
  readonly url: string
  readonly port: number
  /** PostgreSQL's data directory. */
  readonly dataDirectory: string
  /** Whether it was there already, rather than started by this call. */
  readonly wasRunning: boolean
  /** Has the server stay when nobody uses it any more, until {@linkcode stopEmbedded}. */
  stay(): Promise<void>
  /** Whether it stays. */
  isStaying(): Promise<boolean>
  /** Leaves the server, which stops by itself a while after its last connection has closed, whoever made that. */
  release(): Promise<void>
  /** Stops the server, whoever uses it, and waits until it is gone. */
  stop(): Promise<void>
}

/** What {@linkcode openEmbedded} takes. */
export interface OpenEmbeddedOptions {
  /** The project's root. */
  readonly project: string
  /** Told in words what takes a while. */
  readonly onProgress?: (message: string) => void
  /** Gives up waiting. */
  readonly signal?: AbortSignal
  /**
   * How long the server waits for its next user before it stops.
   *
   * @default 30_000
   */
  readonly patienceMs?: number
}

/**
 * Finds the project's server, or creates and starts it. Any number of processes may do so at once and get the same one.
 * The server outlives this process for a while.
 *
 * @throws {BackgroundError} `EMBEDDED_DATABASE` if there is no way to run one here
 */
export async function openEmbedded(options: OpenEmbeddedOptions): Promise<EmbeddedServer> {
  const { project, signal } = options
  try {
    return await open(options)
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    throw explain(error, `Cannot open the database in ${homeOf(project)}`)
  }
}

/** Finds the project's server if it runs and answers. Starts and creates nothing. */
export async function findEmbedded(project: string): Promise<EmbeddedServer | null> {
  try {
    const cluster = await findCluster(homeOf(project))
    if (!cluster) return null
    const running = await findPostmaster(cluster.data)
    if (running?.status !== 'ready') return null
    const presence = await tryToEnter(running, cluster)
    return 'end' in presence ? toServer(cluster, running, presence, true) : null
  } catch (error) {
    throw explain(error, `Cannot look for the database in ${homeOf(project)}`)
  }
}

/** Whether the project has a database, running or not. Creates nothing. */
export async function hasEmbedded(project: string): Promise<boolean> {
  try {
    return (await findCluster(homeOf(project))) !== null
  } catch (error) {
    throw explain(error, `Cannot look for the database in ${homeOf(project)}`)
  }
}

/** Stops the project's server, whoever uses it. False if none was running. */
export async function stopEmbedded(project: string): Promise<boolean> {
  try {
    const cluster = await findCluster(homeOf(project))
    const running = cluster && (await findPostmaster(cluster.data))
    if (!running) return false
    await stopPostmaster(running.pid, cluster.data)
    return true
  } catch (error) {
    throw explain(error, `Cannot stop the database in ${homeOf(project)}`)
  }
}

/** Long enough for an application to start, or for one whose pool closes idle connections to come back. */
const SERVER_PATIENCE_MS = 30_000

/** How long nothing may move before it is an error. */
const PATIENCE_MS = 30_000

/**
 * Looks, does the next thing that is missing, and looks again, until there is a server that lets us in. Each step may be
 * somebody else's: what another process creates, starts or stops meanwhile is simply what the next look finds.
 */
async function open(options: OpenEmbeddedOptions): Promise<EmbeddedServer> {
  const { project, onProgress = () => {}, signal, patienceMs } = options
  const home = await openHome(project)
  let started: number | null = null
  let obstacle: Obstacle = { said: '' }
  let deadline = performance.now() + PATIENCE_MS
  for (; performance.now() < deadline; await sleep(10)) {
    signal?.throwIfAborted()
    const cluster = await findCluster(home)
    if (!cluster) {
      await createCluster({ home, binaries: await findBinaries(project), onProgress, signal })
      deadline = performance.now() + PATIENCE_MS
      continue
    }
    const running = await findPostmaster(cluster.data)
    if (running?.status === 'ready') {
      const presence = await tryToEnter(running, cluster, patienceMs)
      if ('end' in presence) return toServer(cluster, running, presence, running.pid !== started)
      obstacle = presence
    } else if (running) {
      // Recovery takes what it takes.
      if (running.status === 'starting') deadline = performance.now() + PATIENCE_MS
    } else {
      const start = await startServer(cluster, { project, onProgress, signal })
      if (start.pid === null) obstacle = start
      else {
        started = start.pid
        deadline = performance.now() + PATIENCE_MS
      }
    }
  }
  const log = relative('.', join(home, 'postgres.log'))
  throw embeddedFailure(
    `Cannot open the database in ${home}: its server does not let us in (see ${log})${obstacle.said}`,
    obstacle.cause
  )
}

async function startServer(cluster: Cluster, options: OpenEmbeddedOptions): Promise<Start> {
  const { project, onProgress = () => {}, signal } = options
  const binaries = await findBinaries(project)
  await refuseOtherVersion(cluster, binaries)
  const runnable = await prepareBinaries(binaries, cluster.home, cluster.account, onProgress)
  await sweepTrees(cluster.home)
  const isOld = await wasStartedByBeta(cluster)
  onProgress('Starting PostgreSQL')
  const start = await startPostmaster(cluster, runnable, signal)
  const started = isOld ? await findPostmaster(cluster.data) : null
  if (started?.status === 'ready') await moveStrays(started.port, cluster, onProgress)
  return start
}

/** Why there was no way in for now. */
interface Obstacle {
  said: string
  cause?: unknown
}

async function tryToEnter(
  { port }: Postmaster,
  { password, data }: Cluster,
  patienceMs = SERVER_PATIENCE_MS
): Promise<Presence | Obstacle> {
  try {
    return (await enter({ port, password, patienceMs })) ?? { said: '; it is about to stop' }
  } catch (cause) {
    if (codeOf(cause) === '28P01') {
      throw embeddedFailure(`Cannot open the database in ${data}: the server refuses the password beside it`, cause)
    }
    return { said: `; ${cause instanceof Error ? cause.message : String(cause)}`, cause }
  }
}

function toServer(cluster: Cluster, running: Postmaster, presence: Presence, wasRunning: boolean): EmbeddedServer {
  const { data, password } = cluster
  const { port } = running
  return {
    // It knows no TLS, whatever the environment asks of other servers.
    url: `postgres://kretes:${password}@127.0.0.1:${port}/kretes${process.env.PGSSLMODE ? '?sslmode=disable' : ''}`,
    port,
    dataDirectory: data,
    wasRunning,
    stay: presence.stay,
    isStaying: presence.isStaying,
    release: presence.end,
    async stop() {
      await presence.end()
      // Somebody may have stopped the one that was entered, and started the next in its place.
      const current = await findPostmaster(data)
      if (current) await stopPostmaster(current.pid, data)
    }
  }
}

function explain(error: unknown, failed: string): BackgroundError {
  if (error instanceof BackgroundError) return error
  return embeddedFailure(`${failed}: ${error instanceof Error ? error.message : String(error)}`, error)
}
