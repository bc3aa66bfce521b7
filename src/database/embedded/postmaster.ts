import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { link, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { embeddedFailure, nullIf, systemCode } from './failure.ts'
import { cannotRun, environment, isAlive } from './process.ts'

/** A running server's first process, as its `postmaster.pid` describes it. */
export interface Postmaster {
  readonly pid: number
  readonly port: number
  /** `starting`, recovery included, `ready`, `stopping`; empty for a moment at the very beginning. */
  readonly status: string
}

/** Finds the server that runs on a data directory; `postmaster.pid` alone proves nothing. */
export async function findPostmaster(data: string): Promise<Postmaster | null> {
  const file = await readPidFile(data)
  if (!file || !(await isPostmaster(file.pid, data))) return null
  return file
}

/**
 * Takes away a `postmaster.pid` that PostgreSQL, which cannot tell, would take for another server's and refuse to start:
 * one whose process number now belongs to somebody else, and an empty one. What it can judge itself is left to it.
 */
export async function removeStalePidFile(data: string): Promise<void> {
  const path = join(data, 'postmaster.pid')
  const found = await nullIf(stat(path), 'ENOENT')
  if (!found) return
  const file = await readPidFile(data)
  // A server that is just beginning has created it and not yet written.
  if (!file && Date.now() - found.mtimeMs < EMPTY_MS) return
  if (file && (!isAlive(file.pid) || (await isPostmaster(file.pid, data)))) return
  const taken = `${path}.${randomUUID()}`
  const isTaken = await nullIf(
    rename(path, taken).then(() => true),
    'ENOENT'
  )
  if (!isTaken) return
  // Another process may have been quicker, and its server has begun: that gets its file back. In between, the shared
  // memory that belongs to the directory keeps a second server away.
  if (parsePid(await readFile(taken, 'utf8')) !== (file?.pid ?? 0)) await nullIf(link(taken, path), 'EEXIST')
  await rm(taken, { force: true })
}

const EMPTY_MS = 1_000

/** The port that the last server on a data directory had. Connections that outlive a crash find the next one there. */
export async function lastPort(data: string): Promise<number | undefined> {
  const command = await nullIf(readFile(join(data, 'postmaster.opts'), 'utf8'), 'ENOENT')
  const [, port] = /"-p" "(\d+)"/.exec(command ?? '') ?? []
  return port ? Number(port) : undefined
}

/** Stops a server and waits until it is gone: fast, which ends all sessions in good order, and at once if it hangs. */
export async function stopPostmaster(pid: number, data: string): Promise<void> {
  for (const [signal, patienceMs] of STOPS) {
    if (!(await isPostmaster(pid, data))) return
    await send(signal, pid, data)
    const deadline = performance.now() + patienceMs
    while (performance.now() < deadline) {
      if (!(await isPostmaster(pid, data))) return
      await sleep(10)
    }
  }
  throw embeddedFailure(`Cannot stop PostgreSQL: its process ${pid} is still there`)
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
  // Negative is a backend in single-user mode.
  return Math.abs(Number.parseInt(text, 10)) || 0
}

/** Whether a process is a server on that data directory: the number may have gone to another process. */
async function isPostmaster(pid: number, data: string): Promise<boolean> {
  if (!isAlive(pid)) return false
  if (process.platform === 'win32') return true
  if (!(await nullIf(stat('/proc/self'), 'ENOENT'))) return isPostmasterByCommand(pid, data)
  const name = await nullIf(readFile(`/proc/${pid}/comm`, 'utf8'), 'ENOENT', 'ESRCH')
  if (name?.trim() !== 'postgres') return false
  try {
    // PostgreSQL works in its data directory. Compared by identity, since a project may have been moved or copied.
    const [working, ours] = await Promise.all([stat(`/proc/${pid}/cwd`), stat(data)])
    return working.dev === ours.dev && working.ino === ours.ino
  } catch (error) {
    // Where the system hides another user's process, the name must do.
    return ['EACCES', 'EPERM'].includes(systemCode(error) ?? '')
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
    } catch (error) {
      if (systemCode(error) !== 'ESRCH') throw embeddedFailure(`Cannot stop PostgreSQL: ${String(error)}`, error)
    }
    return
  }
  // Windows knows no signals; PostgreSQL has its own, which go nowhere if the process is not one of its kind.
  const [postgres = ''] = (await readFile(join(data, 'postmaster.opts'), 'utf8')).split(' "')
  const control = join(dirname(postgres), 'pg_ctl.exe')
  await promisify(execFile)(control, ['kill', signal.slice(3), String(pid)], { env: environment() }).catch(error => {
    throw cannotRun(control, error)
  })
}
