import { spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { killLeftovers } from './leftovers.ts'

/** What became of a test file. */
export interface Outcome {
  readonly file: string
  readonly passed: number
  /** At least 1 if anything was wrong. */
  readonly failed: number
  readonly durationMs: number
  /** What was wrong beside the tests themselves. */
  readonly problems: readonly string[]
  /** What the file wrote, both streams as they came. */
  readonly output: string
}

/** What {@linkcode runFile} takes. */
export interface RunFileOptions {
  readonly cwd: string
  /** When the file is killed, with all that it started. */
  readonly timeoutMs: number
  /** Has the file clean up and end. */
  readonly signal: AbortSignal
}

/** Runs a test file in a process of its own, and kills what it leaves behind. */
export async function runFile(file: string, { cwd, timeoutMs, signal }: RunFileOptions): Promise<Outcome> {
  const startedMs = performance.now()
  const mark = `${process.pid}:${file}`
  const child = spawn(process.execPath, [file], {
    cwd,
    env: { ...process.env, KRETES_TEST_REPORT: '3', KRETES_TEST_MARK: mark },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: true
  })
  const written: string[] = []
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', chunk => written.push(chunk))
  const report = text(child.stdio[3] as Readable)

  const ended = new Promise<string>(resolve => child.once('exit', (code, name) => resolve(name ?? String(code))))
  let isLate = false
  const stop = (): void => {
    child.kill('SIGTERM')
    setTimeout(() => child.kill('SIGKILL'), CLEANUP_MS).unref()
  }
  const timer = setTimeout(() => {
    isLate = true
    stop()
  }, timeoutMs)
  signal.addEventListener('abort', stop)
  const end = await ended
  clearTimeout(timer)
  signal.removeEventListener('abort', stop)

  const problems: string[] = []
  const leftovers = await killLeftovers(mark)
  if (leftovers.length > 0) problems.push(`left running: ${leftovers.join(', ')}`)
  if (isLate) problems.push(`not done after ${timeoutMs / 1_000} s`)
  const { passed, failed } = parse(await report)
  if (end !== '0' && failed === 0) problems.push(`ended with ${end}`)
  if (passed + failed === 0) problems.push('ran no test')
  const durationMs = performance.now() - startedMs
  return {
    file,
    passed,
    failed: problems.length > 0 ? Math.max(failed, 1) : failed,
    durationMs,
    problems,
    output: written.join('')
  }
}

function parse(report: string): { passed: number; failed: number } {
  return report ? JSON.parse(report) : { passed: 0, failed: 0 }
}

/** How long a file may take to clean up. */
const CLEANUP_MS = 30_000
