import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { link, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { codeOf, EmbeddedError, messageOf, nullIf } from './error.ts'
import { cannotRun, environment, isAlive } from './process.ts'
import { until } from './until.ts'

/** The main process of a running server, as `postmaster.pid` describes it. */
export interface Postmaster {
  readonly pid: number
  readonly port: number
  /** `starting`, which includes recovery, `ready` or `stopping`. Empty for a moment at the start. */
  readonly status: string
}

/** Finds the server that runs on a data directory. `postmaster.pid` alone does not prove that it runs. */
export async function findPostmaster(data: string): Promise<Postmaster | null> {
  const file = await readPidFile(data)
  return file && (await isPostmaster(file.pid, data)) ? file : null
}

/**
 * Removes a stale `postmaster.pid` that would keep PostgreSQL from starting: an empty one, and one whose process number
 * now belongs to another program. PostgreSQL itself recognizes the other stale ones.
 */
export async function removeStalePidFile(data: string): Promise<void> {
  const path = join(data, 'postmaster.pid')
  const found = await nullIf(stat(path), 'ENOENT')
  if (!found) return
  const file = await readPidFile(data)
  // A server that is starting has created the file and not yet written to it.
  if (!file && Date.now() - found.mtimeMs < EMPTY_MS) return
  if (file && (!isAlive(file.pid) || (await isPostmaster(file.pid, data)))) return
  const taken = `${path}.${randomUUID()}`
  if ((await nullIf(rename(path, taken), 'ENOENT')) === null) return
  // Another process may have removed the stale file first and started a server. Then the file here is the new server's,
  // and is put back. In the meantime, PostgreSQL's shared memory for the directory prevents a second server.
  if (parsePid(await readFile(taken, 'utf8')) !== (file?.pid ?? 0)) await nullIf(link(taken, path), 'EEXIST')
  await rm(taken, { force: true })
}

const EMPTY_MS = 1_000

/** The command line of the last server on a data directory. */
export function lastCommand(data: string): Promise<string | null> {
  return nullIf(readFile(join(data, 'postmaster.opts'), 'utf8'), 'ENOENT')
}

/** The port of the last server on a data directory: clients that outlive a crash reconnect to it. */
export async function lastPort(data: string): Promise<number | undefined> {
  const [, port] = /"-p" "(\d+)"/.exec((await lastCommand(data)) ?? '') ?? []
  return port ? Number(port) : undefined
}

/** Stops a server and waits until it is gone. First fast, which ends sessions properly; if it hangs, immediately. */
export async function stopPostmaster(pid: number, data: string): Promise<void> {
  for (const [signal, patienceMs] of STOPS) {
    if (!(await isPostmaster(pid, data))) return
    await send(signal, pid, data)
    if (await until(async () => !(await isPostmaster(pid, data)), patienceMs)) return
  }
  throw new EmbeddedError(`Cannot stop PostgreSQL: its process ${pid} is still there`)
}

const STOPS = [
  ['SIGINT', 10_000],
  ['SIGQUIT', 10_000]
] as const

async function readPidFile(data: string): Promise<Postmaster | null> {
  const text = (await nullIf(readFile(join(data, 'postmaster.pid'), 'utf8'), 'ENOENT')) ?? ''
  const lines = text.split('\n')
  const pid = parsePid(text)
  return pid ? { pid, port: Number(lines[3] || 0), status: lines[7]?.trim() ?? '' } : null
}

function parsePid(text: string): number {
  // The number of a process in single-user mode is negative.
  return Math.abs(Number.parseInt(text, 10)) || 0
}

/** Whether a process is the server on a data directory: its number may have passed to another process. */
async function isPostmaster(pid: number, data: string): Promise<boolean> {
  if (!isAlive(pid)) return false
  if (process.platform === 'win32') return true
  if (!(await nullIf(stat('/proc/self'), 'ENOENT'))) return isPostmasterByCommand(pid, data)
  const name = await nullIf(readFile(`/proc/${pid}/comm`, 'utf8'), 'ENOENT', 'ESRCH')
  if (name?.trim() !== 'postgres') return false
  try {
    // PostgreSQL works in its data directory. The path proves nothing: a project may have been moved or copied.
    const [working, ours] = await Promise.all([stat(`/proc/${pid}/cwd`), stat(data)])
    return working.dev === ours.dev && working.ino === ours.ino
  } catch (error) {
    // If the system hides the processes of other users, the name has to suffice.
    return ['EACCES', 'EPERM'].includes(codeOf(error) ?? '')
  }
}

async function isPostmasterByCommand(pid: number, data: string): Promise<boolean> {
  const listed = await promisify(execFile)('ps', ['-ww', '-o', 'command=', '-p', String(pid)]).catch(() => null)
  const command = listed?.stdout ?? ''
  return command.includes('postgres') && command.includes(data)
}

async function send(signal: 'SIGINT' | 'SIGQUIT', pid: number, data: string): Promise<void> {
  if (process.platform !== 'win32') {
    try {
      process.kill(pid, signal)
    } catch (cause) {
      if (codeOf(cause) !== 'ESRCH') throw new EmbeddedError(`Cannot stop PostgreSQL: ${messageOf(cause)}`, { cause })
    }
    return
  }
  // Windows has no signals. PostgreSQL has its own, which only a PostgreSQL process receives.
  const [postgres = ''] = (await readFile(join(data, 'postmaster.opts'), 'utf8')).split(' "')
  const control = join(dirname(postgres), 'pg_ctl.exe')
  await promisify(execFile)(control, ['kill', signal.slice(3), String(pid)], { env: environment() }).catch(error => {
    throw cannotRun(control, error)
  })
}
