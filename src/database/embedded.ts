import { BackgroundError } from '../errors.ts'
import {
  EmbeddedError,
  type EmbeddedServer,
  findServer,
  hasData,
  NotInstalledError,
  type OpenOptions,
  openServer,
  stopServer
} from './embedded/mod.ts'
import { homeOf } from './project.ts'
import { moveStrays } from './strays.ts'

export { findProject, homeOf } from './project.ts'
export type { EmbeddedServer }

/** The options of {@linkcode openEmbedded}. */
export type OpenEmbeddedOptions = Omit<OpenOptions, 'home' | 'repairSchema'>

/**
 * Finds the project's server, or creates and starts it.
 *
 * @throws {BackgroundError} `EMBEDDED_DATABASE` if no server can run here
 */
export async function openEmbedded(options: OpenEmbeddedOptions): Promise<EmbeddedServer> {
  const { project, onProgress = () => {}, signal } = options
  const repairSchema = (url: string): Promise<void> => moveStrays(url, onProgress)
  return await explained('open', project, home => openServer({ ...options, home, repairSchema }), signal)
}

/** Finds the project's server if it accepts connections. Starts and creates nothing. */
export async function findEmbedded(project: string): Promise<EmbeddedServer | null> {
  return await explained('look for', project, findServer)
}

/** Whether the project has a database, with or without a running server. Creates nothing. */
export async function hasEmbedded(project: string): Promise<boolean> {
  return await explained('look for', project, hasData)
}

/** Stops the project's server, even if it is in use. Returns false if none was running. */
export async function stopEmbedded(project: string): Promise<boolean> {
  return await explained('stop', project, stopServer)
}

async function explained<Result>(
  doing: string,
  project: string,
  work: (home: string) => Promise<Result>,
  signal?: AbortSignal
): Promise<Result> {
  const home = homeOf(project)
  try {
    return await work(home)
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    const message = error instanceof Error ? error.message : String(error)
    const reason = error instanceof EmbeddedError ? message : `Cannot ${doing} the database in ${home}: ${message}`
    const remedy = error instanceof NotInstalledError ? ', or name a database with DATABASE_URL' : ''
    throw new BackgroundError('EMBEDDED_DATABASE', reason + remedy, { cause: error })
  }
}
