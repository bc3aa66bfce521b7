import { globSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureBuild } from './helpers/build.ts'
import { createTemplate } from './helpers/database.ts'
import { readDurations, recordDurations } from './helpers/durations.ts'
import { type Outcome, runFile } from './helpers/run-file.ts'
import { type Server, startServer } from './helpers/server.ts'
import { createTemporary } from './helpers/temporary.ts'

/**
 * `npm test [-- words…]`: runs the test files whose paths hold one of the words, each in a process of its own, against
 * one PostgreSQL server started for the run. The longest files start first.
 *
 * Environment: KRETES_TEST_POSTGRES (major version, or `stock`), KRETES_TEST_LANE (`fast` or `slow`; both by default),
 * KRETES_TEST_JOBS (files at a time), KRETES_TEST_TIMEOUT (seconds for one file).
 */

/** Words that choose the files of the slow lane. They take long whatever the machine, or test the whole package. */
const SLOW = ['chaos/', 'docs/', 'package/', 'runtime/', 'database/embedded', 'cli/embedded', 'worker/idle']

const root = fileURLToPath(new URL('..', import.meta.url))
const { KRETES_TEST_LANE: lane } = process.env
// Most files wait for most of their time.
const jobs = Number(process.env.KRETES_TEST_JOBS) || 6
const timeoutMs = (Number(process.env.KRETES_TEST_TIMEOUT) || 300) * 1_000
const words = process.argv.slice(2)
const files: readonly string[] = chooseFiles()
const width = Math.max(...files.map(file => file.length))

// All files of this run, whichever process writes them, are below one directory.
const temporary = createTemporary()
process.env.TMPDIR = temporary
process.env.KRETES_TEST_INSTALLATIONS = temporary
// A process that loads what another has compiled starts in half the time.
process.env.NODE_COMPILE_CACHE = join(temporary, 'compiled')

const abort = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => abort.abort())

const outcomes: Outcome[] = []
const problems: string[] = []
let server: Server | undefined
try {
  const unbuilt = await ensureBuild()
  if (unbuilt !== undefined) problems.push(`The build fails\n${indent(unbuilt)}`)
  server = await startServer()
  process.env.KRETES_TEST_SERVER = server.url
  await createTemplate(server.url)
  const waiting = [...files]
  await Promise.all(Array.from({ length: jobs }, () => runAll(waiting)))
} catch (error) {
  problems.push(`The run ended early: ${(error as Error).stack}`)
} finally {
  await server?.stop()
  rmSync(temporary, { recursive: true, force: true, maxRetries: 3 })
}
for (const word of words)
  if (!files.some(file => file.includes(word))) problems.push(`There is no test file for ${word}`)
if (outcomes.length === 0) problems.push('No test file has run')
if (abort.signal.aborted) problems.push('Interrupted')
recordDurations(new Map(outcomes.filter(isGood).map(({ file, durationMs }) => [file, Math.round(durationMs)])))

for (const problem of problems) console.log(problem)
const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0)
const failed = outcomes.reduce((sum, outcome) => sum + outcome.failed, problems.length)
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed > 0 ? 1 : 0)

/** The longest first; those that no run has recorded begin with the slow lane. */
function chooseFiles(): string[] {
  const holdsOneOf = (file: string, some: readonly string[]): boolean => some.some(word => file.includes(word))
  const isSlow = (file: string): boolean => holdsOneOf(file, SLOW)
  const durations = readDurations()
  const weigh = (file: string): number => durations.get(file) ?? (isSlow(file) ? Number.MAX_VALUE : 0)
  return globSync('test/**/*.test.ts', { cwd: root })
    .filter(file => words.length === 0 || holdsOneOf(file, words))
    .filter(file => !lane || isSlow(file) === (lane === 'slow'))
    .sort()
    .sort((left, right) => weigh(right) - weigh(left))
}

async function runAll(queue: string[]): Promise<void> {
  for (let file = queue.shift(); file && !abort.signal.aborted; file = queue.shift()) {
    const outcome = await runFile(file, { cwd: root, timeoutMs, signal: abort.signal })
    outcomes.push(outcome)
    report(outcome)
  }
}

function report(outcome: Outcome): void {
  const { file, passed, failed, durationMs, problems, output } = outcome
  const counts = `${String(passed).padStart(4)} passed${failed ? `, ${failed} failed` : ''}`
  const seconds = `${(durationMs / 1_000).toFixed(1).padStart(6)} s`
  console.log([isGood(outcome) ? 'ok  ' : 'FAIL', file.padEnd(width), counts, seconds, ...problems].join('  '))
  if (!isGood(outcome)) console.log(indent(output))
}

function isGood({ failed }: Outcome): boolean {
  return failed === 0
}

function indent(text: string): string {
  return text.trimEnd().replace(/^/gm, '      | ')
}
