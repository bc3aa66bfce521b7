import { spawn } from 'node:child_process'
import process from 'node:process'
import type { Account } from './account.ts'
import { embeddedFailure, systemCode } from './failure.ts'

/** What {@linkcode run} takes. */
export interface RunOptions {
  readonly cwd: string
  readonly account?: Account | undefined
  /** Written to its standard input. */
  readonly input?: string
  readonly signal?: AbortSignal | undefined
}

/**
 * Runs one of PostgreSQL's programs to its end.
 *
 * @returns what it wrote on its standard error
 * @throws {BackgroundError} if it cannot be started or fails, with its last lines in the message
 */
export function run(file: string, args: string[], { cwd, account, input = '', signal }: RunOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { ...account, cwd, env: environment(), stdio: 'pipe', signal, windowsHide: true })
    let written = ''
    child.stderr.setEncoding('utf8').on('data', chunk => {
      written = (written + chunk).slice(-10_000)
    })
    child.stdout.resume()
    // A program that ended early says why on its standard error.
    child.stdin.on('error', () => {}).end(input)
    child.once('error', error => reject(signal?.aborted ? signal.reason : cannotRun(file, error)))
    child.once('close', (code, killer) => {
      if (code === 0) resolve(written)
      else reject(embeddedFailure(`Cannot run ${file}: it ended with ${killer ?? code}${lastLines(written)}`))
    })
  })
}

/** The error of a program that does not even start. */
export function cannotRun(file: string, cause: unknown): Error {
  return embeddedFailure(`Cannot run ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, cause)
}

/**
 * The server gets little of our environment: no secrets, nothing of libpq's, messages in English. What begins with
 * KRETES_ is ours to pass on.
 */
export function environment(): Record<string, string> {
  const passed = Object.entries(process.env).filter(([name]) => PASSED.has(name.toUpperCase()) || /^KRETES_/.test(name))
  return { ...(Object.fromEntries(passed) as Record<string, string>), LC_ALL: 'C' }
}

/** The end of a log, for an error's message. */
export function lastLines(text: string, count = 5): string {
  const lines = text.trim().split('\n').slice(-count)
  return text.trim() ? `; its last words:\n${lines.join('\n')}` : ''
}

/** Whether a process has that number, of whomever. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return systemCode(error) === 'EPERM'
  }
}

const PASSED = new Set(['PATH', 'LD_LIBRARY_PATH', 'SYSTEMROOT', 'WINDIR', 'COMSPEC', 'TEMP', 'TMP', 'TMPDIR'])
