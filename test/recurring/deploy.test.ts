import { createBackground } from '../../src/background.ts'
import { BackgroundError } from '../../src/errors.ts'
import { recurringTimings } from '../../src/rules/timings.ts'
import { type AnyTask, defineTask, type TaskDefinition } from '../../src/task.ts'
import type { Worker } from '../../src/worker/worker.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createRecorder, work } from '../worker/work.ts'

const test = suite('recurring jobs that code declares')
Object.assign(recurringTimings, { versionEveryMs: 50, versionGoneMs: 500 })

const HOUR_MS = 3_600_000

test('are written by the worker that starts, with all their options, and keep their next occurrence', async () => {
  const { database, background } = await prepare()
  const tasks = [
    define('Nightly', { cron: '30 2 * * *', timeZone: 'Europe/Berlin', missed: 'skip', queue: null, priority: 3 }),
    define('Report', {
      recurring: {
        eu: { every: '1h', payload: { region: 'eu' }, overlap: 'allow', jitter: '5s', maxAttempts: 2 },
        us: { cron: '@daily', payload: { region: 'us' }, missed: { all: 3 } }
      }
    })
  ]
  const first = await declare(database, tasks)
  assert.equal(first, { written: ['Nightly', 'Report:eu', 'Report:us'], removed: [] })
  const { entries } = await background.recurring.list()
  const [nightly, eu, us] = entries
  assert.equal(
    entries.map(({ name, task }) => [name, task]),
    [
      ['Nightly', 'Nightly'],
      ['Report:eu', 'Report'],
      ['Report:us', 'Report']
    ]
  )
  assert.equal([nightly?.cron, nightly?.timeZone, nightly?.missed], ['30 2 * * *', 'Europe/Berlin', 'skip'])
  assert.equal([nightly?.priority, nightly?.overlap, nightly?.payload], [3, 'skip', {}])
  assert.equal([eu?.everyMs, eu?.payload, eu?.overlap, eu?.jitterMs], [HOUR_MS, { region: 'eu' }, 'allow', 5_000])
  assert.equal([eu?.maxAttempts, us?.missed, us?.overlap, us?.timeZone], [2, { all: 3 }, 'queue', 'UTC'])
  assert.match(nightly?.source ?? '', /^kretes /)
  await declare(database, tasks)
  assert.equal((await background.recurring.get('Report:eu'))?.nextAt, eu?.nextAt)
})

test('run with their occurrence', async () => {
  const { database } = await prepare()
  const seen: unknown[] = []
  const Tick = defineTask({
    name: 'Tick',
    every: '1s',
    payload: { from: 'code' },
    run: async (payload: { from: string }, { job, occurrence }) => void seen.push([payload, job.schedule, occurrence])
  })
  await work(database, { tasks: { Tick } })
  await until(() => seen.length > 1)
  const [[payload, schedule, at], [, , next]] = seen as [[unknown, string, Date], [unknown, string, Date]]
  assert.equal([payload, schedule], [{ from: 'code' }, 'Tick'])
  assert.is(next.getTime() - at.getTime(), 1_000)
})

test('of a newer version replace those of an older one, which does not write them back', async () => {
  const { database, background } = await prepare()
  const old = [define('Report', { every: '1h' }), define('Clean', { recurring: { a: EVERY, b: EVERY } })]
  const latest = [define('Report', { every: '2h' }), define('Clean', { recurring: { a: EVERY } })]
  await using _oldWorker = await start(database, old)
  await named(background, ['Clean:a', 'Clean:b', 'Report'])
  await using _newWorker = await start(database, latest)
  await named(background, ['Clean:a', 'Report'])
  for (let round = 0; round < 5; round++) {
    const logger = createRecorder()
    await using _again = await start(database, old, logger)
    await until(() => logger.of('recurring.declared').length > 0)
    assert.is(logger.of('recurring.newer').length, 1)
    assert.equal(
      logger.of('recurring.declared').flatMap(({ fields }) => fields.written),
      []
    )
    assert.is((await background.recurring.get('Report'))?.everyMs, 2 * HOUR_MS)
  }
  await named(background, ['Clean:a', 'Report'])
})

test('of a task that is gone are removed once no worker knows it, and come back with the old version', async () => {
  const { database, background } = await prepare()
  const old = [define('Report', EVERY), define('Clean', EVERY)]
  const oldWorker = await start(database, old)
  await named(background, ['Clean', 'Report'])
  const before = await background.recurring.get('Clean')
  const newWorker = await start(database, [define('Report', EVERY)])
  await named(background, ['Clean', 'Report'])
  await oldWorker.stop()
  await named(background, ['Report'])
  assert.is(await background.recurring.get('Clean'), undefined)
  await newWorker.stop()
  const logger = createRecorder()
  await using _rolledBack = await start(database, old, logger)
  await until(() => logger.of('recurring.newer').length > 0)
  await named(background, ['Clean', 'Report'])
  assert.equal((await background.recurring.get('Clean'))?.nextAt, before?.nextAt)
})

test('of an old version come back when no worker has the newer one any more', async () => {
  const { database, background } = await prepare()
  const old = [define('Report', { every: '1h' })]
  await using _oldWorker = await start(database, old)
  const newWorker = await start(database, [define('Report', { every: '2h' })])
  await until(async () => (await background.recurring.get('Report'))?.everyMs === 2 * HOUR_MS)
  await using _again = await start(database, old)
  await newWorker.stop()
  await until(async () => (await background.recurring.get('Report'))?.everyMs === HOUR_MS)
})

test('stay as they were changed or removed by hand, until they are reset', async () => {
  const { database, background } = await prepare()
  const { recurring } = background
  await declare(database, [define('Report', { recurring: { a: EVERY, b: EVERY } })])
  const changed = await recurring.set('Report:a', { task: 'Report', every: '5h', payload: { by: 'hand' } })
  assert.equal([changed.isChanged, changed.everyMs], [true, 5 * HOUR_MS])
  await recurring.remove('Report:b')
  const latest = define('Report', { recurring: { a: { every: '2h' }, b: { every: '3h' } } })
  await declare(database, [latest])
  await named(background, ['Report:a'])
  assert.is((await recurring.get('Report:a'))?.everyMs, 5 * HOUR_MS)
  const reset = await recurring.reset('Report:a')
  assert.equal([reset.isChanged, reset.everyMs, reset.payload], [false, 2 * HOUR_MS, {}])
  assert.is((await recurring.reset('Report:b')).everyMs, 3 * HOUR_MS)
  await named(background, ['Report:a', 'Report:b'])
})

test('live on as set by a call if they were changed by hand and the code no longer declares them', async () => {
  const { database, background } = await prepare()
  const { recurring } = background
  await declare(database, [define('Report', EVERY)])
  await recurring.set('Report', { task: 'Report', every: '5h' })
  await declare(database, [define('Report', {})])
  const left = await recurring.get('Report')
  assert.equal([left?.everyMs, left?.source, left?.isChanged], [5 * HOUR_MS, null, false])
  const error = await recurring.reset('Report').catch(error => error)
  assert.instance(error, BackgroundError)
  assert.is(error.message, 'Cannot reset the recurring job "Report": no code declares it')
})

test('of other programs, and those that a call has set, are left alone', async () => {
  const { database, background } = await prepare()
  await background.recurring.set('digest:42', { task: 'Digest', every: '1d' })
  await declare(database, [define('Report', EVERY)])
  await database.sql`update kretes.recurring set source = 'another program' where name = 'Report'`
  await declare(database, [define('Clean', EVERY)])
  await named(background, ['Clean', 'Report', 'digest:42'])
})

test('are paused over deployments', async () => {
  const { database, background } = await prepare()
  await declare(database, [define('Report', { every: '1h' })])
  await background.recurring.pause('Report')
  await declare(database, [define('Report', { every: '2h' })])
  const { isPaused, everyMs, isChanged } = (await background.recurring.get('Report'))!
  assert.equal([isPaused, everyMs, isChanged], [true, 2 * HOUR_MS, false])
})

test('with a payload that the schema refuses keep the worker from starting', async () => {
  const { database, background } = await prepare()
  const schema = {
    '~standard': {
      version: 1 as const,
      vendor: 'test',
      validate: (value: unknown) =>
        (value as { to?: string }).to ? { value: value as { to: string } } : { issues: [{ message: 'to is missing' }] }
    }
  }
  const SendEmail = defineTask({ name: 'SendEmail', schema, run: async () => {}, every: '1h' })
  const error = await work(database, { tasks: { SendEmail } }).catch(error => error)
  assert.instance(error, BackgroundError)
  assert.match(
    error.message,
    /^Cannot load the recurring jobs of the tasks: 1 problem\n {2}Cannot schedule SendEmail: .*to is missing/
  )
  assert.equal((await background.recurring.list()).entries, [])
})

const EVERY = { every: '1h' } as const

/** A task that does nothing. */
function define(name: string, options: Omit<TaskDefinition, 'name' | 'run'>): AnyTask {
  return defineTask({ name, run: async () => {}, ...options })
}

async function prepare() {
  const database = await createDatabase()
  const background = createBackground({ connection: database.url })
  onceDone(() => background.close())
  return { database, background }
}

async function start(database: TestDatabase, tasks: readonly AnyTask[], logger = createRecorder()): Promise<Worker> {
  const worker = await work(database, { tasks: Object.fromEntries(tasks.map(task => [task.name, task])), logger })
  await worker.ready
  return worker
}

/** Starts a worker, and stops it when it has declared its recurring jobs. */
async function declare(database: TestDatabase, tasks: readonly AnyTask[]): Promise<unknown> {
  const logger = createRecorder()
  await using _worker = await start(database, tasks, logger)
  const line = await until(() => logger.of('recurring.declared')[0])
  const { written, removed } = line!.fields
  return { written, removed }
}

async function named(background: ReturnType<typeof createBackground>, names: readonly string[]): Promise<void> {
  await until(
    async () => {
      const { entries } = await background.recurring.list()
      return JSON.stringify(entries.map(({ name }) => name)) === JSON.stringify(names)
    },
    { what: names.join(', ') }
  )
}
