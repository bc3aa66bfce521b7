import { setTimeout as sleep } from 'node:timers/promises'
import { createBackground, defineTask } from '../../mod.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createRecorder, work } from './work.ts'

const test = suite('a timeout')

const database = await createDatabase()
const background = createBackground({ connection: database.url })
onceDone(() => background.close())

test('aborts the signal, and the attempt has failed, whatever the task makes of it', async () => {
  const reasons: unknown[] = []
  const log = createRecorder()
  const options = { timeout: 100, maxAttempts: 1 }
  const ended = (signal: AbortSignal): Promise<unknown> =>
    new Promise(resolve => signal.addEventListener('abort', () => resolve(reasons.push(signal.reason))))
  const tasks = {
    Obeys: defineTask({
      ...options,
      name: 'Obeys',
      run: async (_input, { signal }) => {
        await ended(signal)
        signal.throwIfAborted()
      }
    }),
    Succeeds: defineTask({ ...options, name: 'Succeeds', run: (_input, { signal }) => ended(signal) }),
    Rethrows: defineTask({
      ...options,
      name: 'Rethrows',
      run: async (_input, { signal }) => {
        await ended(signal)
        throw new Error('something else')
      }
    })
  }
  await using _worker = await work(database, { tasks, logger: log })
  for (const task of Object.values(tasks)) await background.schedule({ task })
  await until(() => log.of('job.failed').length === 3)
  for (const error of [...reasons, ...log.of('job.failed').map(({ fields }) => fields.error)]) {
    assert.instance(error, DOMException)
    assert.is((error as DOMException).name, 'TimeoutError')
    assert.is((error as DOMException).message, 'Timed out after 100 ms')
  }
  assert.is(reasons.length, 3)
  assert.is(log.of('job.succeeded').length, 0)
  assert.is(log.of('job.stray').length, 0)
})

test('leaves a task that ignores its signal to itself after a second, and ignores its result', async () => {
  const release = Promise.withResolvers<void>()
  const log = createRecorder()
  const Deaf = defineTask({ name: 'Deaf', timeout: 100, maxAttempts: 1, run: () => release.promise })
  await using worker = await work(database, { tasks: { Deaf }, logger: log, concurrency: 1 })
  await background.schedule({ task: Deaf })
  await until(() => log.of('job.failed').length === 1)
  const [failed] = log.of('job.failed')
  assert.ok(Number(failed?.fields.durationMs) >= 1_090)
  assert.match(log.of('job.stray')[0]?.message ?? '', /is still running: it ignores its signal/)
  await until(() => worker.running === 0)
  release.reject(new Error('too late'))
  await until(() => log.of('job.stray').length === 2)
  assert.match(log.of('job.stray')[1]?.message ?? '', /ended, \d+(\.\d)? ms after its start/)
  assert.is(log.of('job.failed').length, 1)
})

test('holds for onFailure, too: a job that is given up is written off without it', async () => {
  const log = createRecorder()
  const signals: AbortSignal[] = []
  const Endless = defineTask({
    name: 'Endless',
    timeout: 100,
    maxAttempts: 1,
    run: () => {
      throw new Error('no')
    },
    onFailure: async (_error, { signal }) => {
      signals.push(signal)
      await new Promise(() => {})
    }
  })
  await using worker = await work(database, { tasks: { Endless }, logger: log })
  const { id } = await background.schedule({ task: Endless })
  await until(async () => {
    const [row] = await database.sql`
      select attempts = max_attempts and locked_at is null as over, last_error from graphile_worker.jobs where id = ${id}`
    return row?.over && row.last_error
  })
  assert.is(worker.running, 0)
  assert.is(signals[0]?.aborted, true)
  assert.match(String(log.of('job.onFailure')[0]?.fields.error), /^TimeoutError/)
})

test('does not touch a task that is faster, and leaves no timer behind', async () => {
  const log = createRecorder()
  const Fast = defineTask({ name: 'Fast', timeout: '1h', run: () => {} })
  await using _worker = await work(database, { tasks: { Fast }, logger: log })
  const timers = process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
  await background.scheduleMany({ task: Fast, payloads: Array.from({ length: 100 }, () => ({})) })
  await until(() => log.of('job.succeeded').length === 100)
  assert.ok(process.getActiveResourcesInfo().filter(name => name === 'Timeout').length < timers + 50)
})

for (const timeout of ['30d', 2 ** 31, Number.MAX_SAFE_INTEGER]) {
  test(`of ${timeout} does not end a run at once`, async () => {
    const log = createRecorder()
    const Slow = defineTask({ name: 'Slow', timeout, run: () => sleep(50) })
    await using _worker = await work(database, { tasks: { Slow }, logger: log })
    await background.schedule({ task: Slow })
    await until(() => log.of('job.succeeded').length + log.of('job.failed').length === 1)
    assert.is(log.of('job.failed').length, 0)
  })
}

for (const [timeout, message] of [
  [0, 'timeout is 0 ms, less than one'],
  [-1, 'timeout is -1 ms, less than nothing'],
  [Number.POSITIVE_INFINITY, 'timeout is infinite'],
  ['soon', `timeout is "soon", not a duration such as '5m', 300_000 or { minutes: 5 }`]
] as const) {
  test(`of ${JSON.stringify(timeout)} is refused`, () => {
    assert.throws(
      () => defineTask({ name: 'Late', timeout, run() {} }),
      (error: unknown) => (error as Error).message === `Cannot define Late: ${message}`
    )
  })
}
