import { spawn } from 'node:child_process'
import process from 'node:process'
import type { Account } from './account.ts'
import { codeOf, EmbeddedError, messageOf } from './error.ts'

/** What {@linkcode run} takes. */
export interface RunOptions {
  readonly cwd: string
  readonly account?: Account
  /** The program's standard input. */
  readonly input?: string
  readonly signal?: AbortSignal
}

/**
 * Runs one of PostgreSQL's programs to its end.
 *
 * @returns its standard error
 * @throws {EmbeddedError} if it does not start or fails, with its last lines in the message
 */
export function run(file: string, args: string[], { cwd, account, input = '', signal }: RunOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { ...account, cwd, env: environment(), stdio: 'pipe', signal, windowsHide: true })
    let written = ''
    child.stderr.setEncoding('utf8').on('data', chunk => {
      written = (written + chunk).slice(-10_000)
    })
    child.stdout.resume()
    // A program that ends early explains itself on its standard error.
    child.stdin.on('error', () => {}).end(input)
    child.once('error', error => reject(signal?.aborted ? signal.reason : cannotRun(file, error)))
    child.once('close', (code, killer) => {
      if (code === 0) resolve(written)
      else reject(new EmbeddedError(`Cannot run ${file}: it ended with ${killer ?? code}${lastLines(written)}`))
    })
  })
}

/** The error for a program that does not start. */
export function cannotRun(file: string, cause: unknown): EmbeddedError {
  return new EmbeddedError(`Cannot run ${file}: ${messageOf(cause)}`, { cause })
}

/**
 * The environment of PostgreSQL's programs: no secrets, no variables of libpq, messages in English. Variables that begin
 * with KRETES_ are passed on.
 */
export function environment(): Record<string, string> {
  const passed = Object.entries(process.env).filter(([name]) => PASSED.has(name.toUpperCase()) || /^KRETES_/.test(name))
  return { ...(Object.fromEntries(passed) as Record<string, string>), LC_ALL: 'C' }
}

/** The end of a log, for the message of an error. */
export function lastLines(text: string): string {
  const lines = text.trim().split('\n').slice(-5)
  return text.trim() ? `; its last lines:\n${lines.join('\n')}` : ''
}

/** Whether a process of any user has this number. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

const PASSED = new Set(['PATH', 'LD_LIBRARY_PATH', 'SYSTEMROOT', 'WINDIR', 'COMSPEC', 'TEMP', 'TMP', 'TMPDIR'])
