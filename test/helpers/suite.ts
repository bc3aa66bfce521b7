import { realpathSync, writeSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import type { Callback } from 'uvu'
import { cleanUp } from './cleanup.ts'

export * as assert from 'uvu/assert'

/** What a test does; a hook alike. */
export type Handler = () => unknown

/** Registers a test under a sentence. */
export interface Test {
  (sentence: string, handler: Handler): void
  before: Hook
  after: Hook
}

/** Registers what runs once around the suite, or around each of its tests. */
export interface Hook {
  (handler: Handler): void
  each(handler: Handler): void
}

// Deferred, uvu leaves it to us when to run: once the test file has been evaluated to its end, top-level awaits included.
const globals = globalThis as { UVU_DEFER?: number; UVU_QUEUE?: unknown[][] }
globals.UVU_DEFER = 1
const uvu = await import('uvu')
globals.UVU_QUEUE?.push([null])

const suites: { name: string; tests: number; run(): void }[] = []
const count = { total: 0, passed: 0, failures: 0 }
let running = ''
let isFinished = false

/**
 * A suite of tests that runs by itself. uvu alone ends well when a hook throws, when `run()` was forgotten and when a
 * suite is empty; here each of these is a failure, as is an unhandled rejection.
 */
export function suite(name: string): Test {
  const inner = uvu.suite(name)
  const registered = { name, tests: 0, run: () => inner.run() }
  suites.push(registered)
  let broken: { error: unknown } | undefined

  inner.before.each(() => {
    if (broken) throw broken.error
  })

  const test = (sentence: string, handler: Handler): void => {
    registered.tests++
    count.total++
    inner(sentence, async () => {
      running = `${name}: ${sentence}`
      await handler()
      count.passed++
    })
  }
  const guarded = (kind: string, handler: Handler, onError?: (error: unknown) => void): Callback => {
    return async () => {
      try {
        running = `${name}: ${kind}`
        await handler()
      } catch (error) {
        fail(`${kind} of ${name}`, error)
        onError?.(error)
      }
    }
  }
  const breakSuite = (error: unknown): void => {
    broken ??= { error }
  }
  const before = (handler: Handler): void => inner.before(guarded('before()', handler, breakSuite))
  const after = (handler: Handler): void => inner.after(guarded('after()', handler))
  return Object.assign(test, {
    before: Object.assign(before, {
      each: (handler: Handler) => inner.before.each(async () => void (await handler()))
    }),
    after: Object.assign(after, { each: (handler: Handler) => inner.after.each(guarded('after.each()', handler)) })
  })
}

async function runSuites(): Promise<void> {
  for (const { name, tests, run } of suites) {
    if (tests === 0) fail(name, new Error('Cannot run the suite: it has no test'))
    else run()
  }
  if (suites.length === 0) fail('this file', new Error('Cannot run any test: there is no suite'))
  await uvu.exec()
  running = 'cleaning up'
  await cleanUp().catch(error => fail('cleaning up', error))
  isFinished = true
  setTimeout(failOpenHandles, 15_000).unref()
}

function fail(where: string, error: unknown): void {
  count.failures++
  console.error(`\n  FAIL  ${where}\n`, error)
}

function failOpenHandles(): void {
  fail('the end', new Error(`Cannot end: still open are ${process.getActiveResourcesInfo().join(', ')}`))
  process.exit(1)
}

// The runner reads counts from this descriptor. Taken out of the environment, so that no child reports in our name.
const report = Number(process.env.KRETES_TEST_REPORT) || undefined
delete process.env.KRETES_TEST_REPORT

// A test says itself which database it means; the person's shell does not.
for (const name of Object.keys(process.env)) {
  if (/^(DATABASE_URL|NODE_ENV|PG[A-Z]+)$/.test(name)) delete process.env[name]
}

process.on('unhandledRejection', error => fail('an unhandled rejection', error))

process.on('exit', code => {
  if (!isFinished && code === 0) fail('the end', new Error(`Cannot finish: the process ended during ${running}`))
  const failed = count.total - count.passed + count.failures
  if (failed > 0) process.exitCode = 1
  if (report) writeSync(report, JSON.stringify({ passed: count.passed, failed }))
})

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, async () => {
    console.error(`\n  ${signal} during ${running || 'start'}`)
    await cleanUp().catch(error => console.error(error))
    process.exit(1)
  })
}

// Importing the test file again gives the evaluation that is under way: it settles when all tests are registered. When
// it fails, Node itself reports it.
import(pathToFileURL(realpathSync(process.argv[1] ?? '')).href).then(runSuites, async error => {
  fail('loading', error)
  await cleanUp().catch(() => {})
  process.exit(1)
})
