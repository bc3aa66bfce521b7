import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Binaries, program } from './binaries.ts'
import type { Cluster } from './cluster.ts'
import { EmbeddedError, nullIf } from './error.ts'
import { findPostmaster, lastPort, removeStalePidFile } from './postmaster.ts'
import { cannotRun, environment, lastLines } from './process.ts'

/** The process of the started server, or the last lines of a server that gave up. */
export type Start = { readonly pid: number } | { readonly pid: null; readonly said: string }

/**
 * Starts a server that outlives this process and waits until it accepts connections. PostgreSQL allows one server for
 * a data directory: a second one gives up, which is no error here.
 *
 * @throws {EmbeddedError} if the server gives up for a reason that will not pass
 */
export async function startPostmaster(cluster: Cluster, binaries: Binaries, signal?: AbortSignal): Promise<Start> {
  await removeStalePidFile(cluster.data)
  const log = join(cluster.home, `postgres-${randomUUID()}.log`)
  try {
    const child = await launch(cluster, program(binaries, 'postgres'), log)
    if (await isReady(child, cluster, signal)) {
      await keepLog(cluster.home, log)
      return { pid: child.pid ?? 0 }
    }
    const said = (await nullIf(readFile(log, 'utf8'), 'ENOENT')) ?? ''
    if (said && !PASSING.test(said)) throw new EmbeddedError(`Cannot start PostgreSQL: it gave up${lastLines(said)}`)
    return { pid: null, said: lastLines(said) }
  } finally {
    await rm(log, { force: true })
  }
}

/** Reasons that pass: another server or the rest of a killed one holds the directory, or the port was just taken. */
const PASSING =
  /lock file "[^"]+" (already exists|is empty)|shared memory block|could not bind|could not create any TCP/

/** See {@linkcode SETTINGS}. */
export const SEARCH_PATH = 'search_path=public'

/**
 * The server is reachable from this machine only. With the default search path, `"$user", public`, an application's
 * tables would land in the schema kretes, since the role has that name. A database or a role may override the path.
 */
const SETTINGS = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', SEARCH_PATH]

async function launch({ data, home, account }: Cluster, file: string, log: string): Promise<ChildProcess> {
  const port = await choosePort(await lastPort(data))
  const settings = SETTINGS.flatMap(setting => ['-c', setting])
  const output = await open(log, 'ax', 0o600)
  try {
    const child = spawn(file, ['-D', data, '-p', String(port), ...settings], {
      ...account,
      cwd: account ? dirname(data) : home,
      env: environment(),
      // In a session of its own, Ctrl-C in this terminal does not reach the server.
      detached: true,
      stdio: ['ignore', output.fd, output.fd],
      windowsHide: true
    })
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', error => reject(cannotRun(file, error)))
    })
    child.unref()
    return child
  } finally {
    await output.close()
  }
}

/** Waits until the server accepts connections. Returns false if the server ends first. */
async function isReady(child: ChildProcess, { data }: Cluster, signal?: AbortSignal): Promise<boolean> {
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) return false
    const found = await findPostmaster(data)
    if (found?.status === 'ready' && found.pid === child.pid) return true
    if (signal?.aborted) child.kill('SIGINT')
    await sleep(10)
  }
}

/** Each server that starts has a log of its own, so that one that gives up does not write into the log of another. */
async function keepLog(home: string, log: string): Promise<void> {
  // On Windows the log keeps its name: an open file cannot be renamed there.
  await rename(log, join(home, 'postgres.log')).catch(() => {})
  const abandoned = (await readdir(home)).filter(name => /^postgres-[\w-]{36}\.log$/.test(name))
  for (const name of abandoned) await rm(join(home, name), { force: true }).catch(() => {})
}

/** Returns the preferred port if it is free, else a random port. */
async function choosePort(preferred = 0): Promise<number> {
  const port = (await tryPort(preferred)) ?? (await tryPort(0))
  if (port) return port
  throw new EmbeddedError('Cannot start PostgreSQL: there is no free port on 127.0.0.1')
}

function tryPort(wanted: number): Promise<number | null> {
  return new Promise(resolve => {
    const listener = createServer()
    listener.once('error', () => resolve(null))
    listener.listen(wanted, '127.0.0.1', () => {
      const address = listener.address()
      listener.close(() => resolve(typeof address === 'object' && address ? address.port : null))
    })
  })
}
