import { spawn } from 'node:child_process'
import { chmodSync, globSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { ensureBuild } from './helpers/build.ts'
import { createTemplate } from './helpers/database.ts'
import { killLeftovers } from './helpers/leftovers.ts'
import { startServer } from './helpers/server.ts'

/**
 * `npm test [-- words…]`: runs the test files whose paths hold one of the words, each in a process of its own, against
 * one PostgreSQL server started for the run. A file named `*.serial.test.ts` has the machine to itself.
 *
 * Environment: KRETES_TEST_POSTGRES (major version, or `stock`), KRETES_TEST_JOBS (files at a time), KRETES_TEST_TIMEOUT (seconds
 * for one file), KRETES_TEST_AGAIN (how many files that fail are run once more, each with the machine to itself; for
 * machines that are shared with strangers. What passes only then is named at the end).
 */

const root = fileURLToPath(new URL('..', import.meta.url))
const jobs = Number(process.env.KRETES_TEST_JOBS) || 4
const timeoutMs = (Number(process.env.KRETES_TEST_TIMEOUT) || 600) * 1_000
const mostAgain = Number(process.env.KRETES_TEST_AGAIN) || 0
const words = process.argv.slice(2)
const files = globSync('test/**/*.test.ts', { cwd: root })
  .filter(file => words.length === 0 || words.some(word => file.includes(word)))
  .sort()
const width = Math.max(...files.map(file => file.length))

// Everything of this run, whoever wrote it, is below one directory that nobody, the user, can enter.
const temporary = mkdtempSync(join(tmpdir(), 'kretes-test-'))
chmodSync(temporary, 0o755)
process.env.TMPDIR = temporary
// A process that loads what another has compiled starts in half the time.
process.env.NODE_COMPILE_CACHE = join(temporary, 'compiled')

const total = { passed: 0, failed: 0 }
const failures: Outcome[] = []
const abort = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => abort.abort())

const unbuilt = await ensureBuild()
if (unbuilt !== undefined) {
  console.log(`FAIL  the build\n${unbuilt.trimEnd().replace(/^/gm, '      | ')}`)
  total.failed++
}
process.env.KRETES_TEST_INSTALLATIONS = temporary
const server = await startServer()
process.env.KRETES_TEST_SERVER = server.url
try {
  await createTemplate(server.url)
  const waiting = files.filter(file => !isSerial(file))
  await Promise.all(Array.from({ length: jobs }, () => runAll(waiting)))
  await runAll(files.filter(isSerial))
  await judgeFailures()
} finally {
  await server.stop()
  rmSync(temporary, { recursive: true, force: true, maxRetries: 3 })
}
if (files.length === 0) {
  console.log(`There is no test file for ${words.join(', ')}`)
  total.failed++
}
if (abort.signal.aborted) {
  console.log('Interrupted')
  total.failed++
}
console.log(`${total.passed} passed, ${total.failed} failed`)
process.exit(total.failed > 0 ? 1 : 0)

function isSerial(file: string): boolean {
  return file.endsWith('.serial.test.ts')
}

interface Outcome {
  readonly file: string
  readonly passed: number
  readonly failed: number
}

async function runAll(queue: string[]): Promise<void> {
  for (let file = queue.shift(); file && !abort.signal.aborted; file = queue.shift()) {
    const outcome = await runFile(file)
    if (outcome.failed > 0) failures.push(outcome)
    else total.passed += outcome.passed
  }
}

/** Many failures are no accident, and are left at that. */
async function judgeFailures(): Promise<void> {
  const isAccident = failures.length <= mostAgain
  for (const first of failures) {
    const outcome = isAccident && !abort.signal.aborted ? await runFile(first.file) : first
    if (outcome !== first && outcome.failed === 0) console.log(`${first.file} passed only when it was run once more`)
    total.passed += outcome.passed
    total.failed += outcome.failed
  }
}

async function runFile(file: string): Promise<Outcome> {
  const started = performance.now()
  const mark = `${process.pid}:${file}`
  const child = spawn(process.execPath, [file], {
    cwd: root,
    env: { ...process.env, KRETES_TEST_REPORT: '3', KRETES_TEST_MARK: mark },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: true
  })
  const written: string[] = []
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', chunk => written.push(chunk))
  const report = text(child.stdio[3] as Readable)

  const ended = new Promise<string>(resolve => child.once('exit', (code, signal) => resolve(signal ?? String(code))))
  let isLate = false
  const stop = (): void => {
    child.kill('SIGTERM')
    setTimeout(() => child.kill('SIGKILL'), 10_000).unref()
  }
  const timer = setTimeout(() => {
    isLate = true
    stop()
  }, timeoutMs)
  abort.signal.addEventListener('abort', stop)
  const end = await ended
  clearTimeout(timer)
  abort.signal.removeEventListener('abort', stop)

  const problems: string[] = []
  const leftovers = await killLeftovers(mark)
  if (leftovers.length > 0) problems.push(`left running: ${leftovers.join(', ')}`)
  if (isLate) problems.push(`not done after ${timeoutMs / 1_000} s`)
  const { passed, failed } = parse(await report)
  if (end !== '0' && failed === 0) problems.push(`ended with ${end}`)
  if (passed + failed === 0) problems.push('ran no test')

  const isGood = failed === 0 && problems.length === 0
  const seconds = ((performance.now() - started) / 1_000).toFixed(1)
  const counts = `${String(passed).padStart(4)} passed${failed ? `, ${failed} failed` : ''}`
  console.log(
    [isGood ? 'ok  ' : 'FAIL', file.padEnd(width), counts, `${seconds.padStart(6)} s`, ...problems].join('  ')
  )
  if (!isGood) console.log(written.join('').replace(/^/gm, '      | '))
  return { file, passed, failed: isGood ? 0 : Math.max(failed, 1) }
}

function parse(report: string): { passed: number; failed: number } {
  return report ? JSON.parse(report) : { passed: 0, failed: 0 }
}
