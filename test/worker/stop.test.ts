import { setTimeout as sleep } from 'node:timers/promises'
import { createBackground } from '../../src/background.ts'
import type { TaskContext } from '../../src/task.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { endsBefore, until } from '../helpers/until.ts'
import { countJobs, createRecorder, fill, work } from './work.ts'

const test = suite('stopping a worker')

test('lets running jobs finish and gives back what was only fetched, at no cost of an attempt', async () => {
  const database = await prepared()
  await fill(database, 'Count', 10)
  await fill(database, 'Count', 5, { queue: 'one' })
  const gate = Promise.withResolvers<void>()
  let done = 0
  const Count = async (): Promise<void> => {
    await gate.promise
    done++
  }
  const worker = await work(database, { tasks: { Count }, concurrency: 2, localQueueSize: 20, localQueueTtl: 60_000 })
  await until(() => worker.running === 2)
  const stopping = worker.stop()
  await until(async () => (await rowsOf(database)).filter(({ locked }) => locked).length === 2)
  gate.resolve()
  assert.equal(await stopping, { unfinished: 0 })
  await worker.finished
  assert.equal([done, worker.running], [2, 0])
  const rows = await rowsOf(database)
  assert.is(rows.length, 13)
  for (const row of rows) assert.equal([row.attempts, row.locked], [0, false])
  assert.is(await countLockedQueues(database), 0)
  assert.is(await countConnections(database), 0)
})

test('aborts the signals of jobs that have not finished in time, with a reason, early and late asked for', async () => {
  const database = await prepared()
  await fill(database, 'Early', 1)
  await fill(database, 'Late', 1)
  const reasons: unknown[] = []
  const late = Promise.withResolvers<void>()
  const tasks = {
    Early: async (_: object, { signal }: TaskContext) => {
      await new Promise(resolve => signal.addEventListener('abort', resolve))
      reasons.push(signal.reason)
      late.resolve()
    },
    Late: async (_: object, context: TaskContext) => {
      await late.promise
      assert.ok(context.signal.aborted)
      reasons.push(context.signal.reason)
    }
  }
  const worker = await work(database, { tasks })
  await until(() => worker.running === 2)
  assert.equal(await worker.stop({ timeout: 50 }), { unfinished: 0 })
  assert.is(reasons.length, 2)
  for (const reason of reasons) {
    assert.instance(reason, Error)
    assert.is((reason as Error).message, 'The worker is stopping')
  }
  assert.is(await countJobs(database), 0)
})

test('leaves a job that ignores its signal, for another worker to run as the same attempt', async () => {
  const database = await prepared()
  await fill(database, 'Stubborn', 1)
  await fill(database, 'Stubborn', 1, { queue: 'one' })
  const gate = Promise.withResolvers<void>()
  const first = await work(database, { tasks: { Stubborn: () => gate.promise } })
  await until(() => first.running === 2)
  // The engine alone would wait 25 s.
  assert.equal(await endsBefore(5_000, () => first.stop({ timeout: 100 })), { unfinished: 2 })
  await first.finished
  for (const row of await rowsOf(database)) assert.equal([row.attempts, row.locked], [0, false])
  assert.is(await countLockedQueues(database), 0)

  const attempts: number[] = []
  await work(database, { tasks: { Stubborn: (_: object, { attempt }: TaskContext) => void attempts.push(attempt) } })
  await until(() => attempts.length === 2)
  assert.equal(attempts, [1, 1])
  // Its late end harms nobody.
  gate.resolve()
  await until(() => first.running === 0)
  await until(async () => (await countJobs(database)) === 0)
})

for (const timeout of [2 ** 31, 60 * 86_400_000, Number.MAX_SAFE_INTEGER]) {
  test(`waits for running jobs when they get ${timeout} ms`, async () => {
    const database = await prepared()
    await fill(database, 'Wait', 1)
    const gate = Promise.withResolvers<void>()
    let isAborted = false
    const Wait = async (_: object, { signal }: TaskContext): Promise<void> => {
      signal.addEventListener('abort', () => {
        isAborted = true
      })
      await gate.promise
    }
    const worker = await work(database, { tasks: { Wait }, shutdownTimeout: timeout })
    await until(() => worker.running === 1)
    const stopping = Promise.all([worker.stop(), worker.stop({ timeout })])
    // Timers that fire at once would have.
    await sleep(50)
    assert.is(isAborted, false)
    gate.resolve()
    assert.equal(await stopping, [{ unfinished: 0 }, { unfinished: 0 }])
  })
}

test('refuses a time that is none, and goes on', async () => {
  const database = await prepared()
  let done = 0
  const worker = await work(database, { tasks: { Count: () => void done++ } })
  for (const timeout of [Number.NaN, -1, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, null, 'soon', {}]) {
    const error = await worker.stop({ timeout: timeout as number }).catch(thrown => thrown)
    assert.match(String(error), /^(?:Type|Range)Error: Cannot stop the worker: timeout /)
  }
  await fill(database, 'Count', 1)
  await until(() => done === 1)
})

test('counts a job that stops because of its signal as unfinished, not as failed: it costs no attempt', async () => {
  const database = await prepared()
  await fill(database, 'Wait', 1)
  const logger = createRecorder()
  const tasks = { Wait: (_: object, { signal }: TaskContext) => sleep(60_000, undefined, { signal }) }
  const worker = await work(database, { tasks, logger })
  await until(() => worker.running === 1)
  assert.equal(await worker.stop({ timeout: 0 }), { unfinished: 1 })
  assert.equal([logger.of('job.failed').length, logger.of('job.released').length], [0, 1])
  const [row] = await rowsOf(database)
  assert.equal([row?.attempts, row?.locked], [0, false])
})

test('is hurried by a second call with a shorter time', async () => {
  const database = await prepared()
  await fill(database, 'Wait', 1)
  const aborted = Promise.withResolvers<void>()
  const tasks = {
    Wait: async (_: object, { signal }: TaskContext) => {
      signal.addEventListener('abort', () => aborted.resolve())
      await aborted.promise
    }
  }
  const worker = await work(database, { tasks })
  await until(() => worker.running === 1)
  const first = worker.stop()
  const second = worker.stop({ timeout: 0 })
  assert.equal(await Promise.all([first, second]), [{ unfinished: 0 }, { unfinished: 0 }])
})

test('that is idle takes no time, and may be asked for twice', async () => {
  const database = await prepared()
  const worker = await work(database, { tasks: { Wait: () => {} } })
  // The engine alone would wait 25 s.
  await endsBefore(5_000, () => Promise.all([worker.stop(), worker.stop()]))
  assert.equal(await worker.stop(), { unfinished: 0 })
})

test('happens at the end of its scope with await using', async () => {
  const database = await prepared()
  const logger = createRecorder()
  await fill(database, 'Wait', 1)
  {
    await using worker = await work(database, { tasks: { Wait: () => sleep(50) }, logger })
    await until(() => worker.running === 1)
  }
  assert.is(logger.of('job.succeeded').length, 1)
  assert.is(await countConnections(database), 0)
})

async function prepared(): Promise<TestDatabase> {
  const database = await createDatabase()
  await using background = createBackground({ connection: database.url })
  await background.migrate()
  return database
}

async function rowsOf({ sql }: TestDatabase): Promise<readonly { attempts: number; locked: boolean }[]> {
  return await sql<{ attempts: number; locked: boolean }[]>`
    select attempts, locked_at is not null as locked from graphile_worker.jobs`
}

async function countLockedQueues({ sql }: TestDatabase): Promise<number> {
  const rows = await sql`select from graphile_worker._private_job_queues where locked_at is not null`
  return rows.length
}

/** How many connections of ours are left; the server takes a moment to see that one has ended. */
async function countConnections({ sql, name }: TestDatabase): Promise<number> {
  const rows = () => sql`select from pg_stat_activity where datname = ${name} and application_name like 'kretes%'`
  await until(async () => (await rows()).length === 0)
  return (await rows()).length
}
