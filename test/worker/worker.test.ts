import { createBackground } from '../../src/background.ts'
import { Queue } from '../../src/queue.ts'
import type { TaskContext } from '../../src/task.ts'
import { startWorker } from '../../src/worker/worker.ts'
import { createDatabase } from '../helpers/database.ts'
import { awaitedLock } from '../helpers/locks.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { countJobs, createRecorder, fill, work } from './work.ts'

const test = suite('a worker')
const refusal = suite('a worker is refused')

test('runs a job with its payload and a context that says all about it', async () => {
  const database = await createDatabase()
  await using background = createBackground({ connection: database.url })
  const ran = Promise.withResolvers<{ input: object; context: TaskContext }>()
  const worker = await work(database, {
    tasks: { Note: (input: object, context: TaskContext) => ran.resolve({ input, context }) },
    concurrency: 3
  })
  assert.equal([worker.tasks, worker.concurrency, worker.running], [['Note'], 3, 0])
  const payload = { text: 'Zażółć', list: [1, { deep: null }] }
  const job = await background.schedule({ task: 'Note', payload, queue: Queue.for('notes') })
  const { input, context } = await ran.promise
  assert.equal(input, payload)
  assert.equal(context.job, { ...job, attempts: 1 })
  assert.is(context.attempt, 1)
  assert.instance(context.signal, AbortSignal)
  assert.is(context.signal.aborted, false)
  await until(async () => (await countJobs(database)) === 0)
})

test('logs the start and end of each job, and what the task logs, with the job it is about', async () => {
  const database = await createDatabase()
  const logger = createRecorder()
  await using background = createBackground({ connection: database.url })
  await work(database, {
    tasks: { Note: (_: object, context: TaskContext) => context.logger.warn('Look', { page: 7 }) },
    logger
  })
  const { id } = await background.schedule({ task: 'Note', queue: Queue.for('notes') })
  await until(() => logger.of('job.succeeded').length === 1)
  const about = { task: 'Note', job: id }
  const fields = { ...about, queue: 'notes', attempt: 1, maxAttempts: 25 }
  assert.equal(logger.of('job.started'), [
    { level: 'info', message: `Note ${id} started`, fields: { ...fields, event: 'job.started' } }
  ])
  assert.equal(logger.of('task.log'), [
    { level: 'warn', message: 'Look', fields: { ...about, event: 'task.log', page: 7 } }
  ])
  const [line] = logger.of('job.succeeded')
  const { durationMs, ...rest } = line?.fields ?? {}
  assert.equal(rest, { ...fields, event: 'job.succeeded' })
  assert.ok(Number(durationMs) >= 0)
  assert.equal([line?.level, line?.message], ['info', `Note ${id} succeeded`])
})

test('logs a failure with its stack and retries it, and says when it was the last attempt', async () => {
  const database = await createDatabase()
  const logger = createRecorder()
  await using background = createBackground({ connection: database.url })
  const worker = await work(database, {
    tasks: {
      Fail: (_: object, { attempt }: TaskContext) => {
        throw new RangeError(`for the ${attempt}. time`)
      }
    },
    logger
  })
  const { id } = await background.schedule({ task: 'Fail' })
  const failures = () => logger.of('job.failed')
  await until(() => failures().length === 1)
  const [first] = failures()
  const { error, durationMs, delayMs, ...fields } = first?.fields ?? {}
  assert.equal([first?.level, first?.message], ['error', `Fail ${id} failed, next attempt in ${delayMs} ms`])
  assert.instance(error, RangeError)
  assert.match((error as Error).stack ?? '', /RangeError: for the 1\. time\n\s+at .*worker\.test\.ts/)
  assert.ok(Number(durationMs) >= 0)
  const about = { event: 'job.failed', task: 'Fail', job: id, queue: null, attempt: 1, maxAttempts: 25 }
  assert.equal(fields, { ...about, isLast: false })

  // Its backoff over by hand, and the next attempt its last.
  const row = async () => (await database.sql`select * from graphile_worker.jobs where id = ${id}`)[0]
  await until(async () => (await row())?.locked_at === null)
  assert.ok((await row())?.run_at > new Date())
  assert.match((await row())?.last_error, 'for the 1. time')
  await database.sql`
    select from graphile_worker.reschedule_jobs(array[${id}]::bigint[], run_at => now(), max_attempts => 2)`
  await until(() => failures().length === 2)
  const [, second] = failures()
  assert.is(second?.message, `Fail ${id} failed for good`)
  assert.equal([second?.fields.attempt, second?.fields.maxAttempts, second?.fields.isLast], [2, 2, true])
  await worker.stop()
  assert.equal([(await row())?.attempts, (await row())?.locked_at], [2, null])
})

test('takes what a task throws for a failure, whatever it is', async () => {
  const database = await createDatabase()
  const logger = createRecorder()
  await using background = createBackground({ connection: database.url })
  const tasks = {
    Text() {
      throw 'text'
    },
    Nothing() {
      throw undefined
    },
    Late: () => Promise.reject(null)
  }
  await work(database, { tasks, logger })
  for (const task of ['Text', 'Nothing', 'Late']) await background.schedule({ task })
  await until(() => logger.of('job.failed').length === 3)
  await until(async () => {
    const rows = await database.sql`select from graphile_worker.jobs where locked_at is null and attempts = 1`
    return rows.length === 3
  })
})

test('runs jobs without a queue side by side, as many as its concurrency', async () => {
  const database = await createDatabase()
  await using background = createBackground({ connection: database.url })
  await background.migrate()
  await fill(database, 'Count', 20)
  let [running, most, done] = [0, 0, 0]
  let all = Promise.withResolvers<void>()
  const tasks = {
    // None ends before ten run at the same time.
    async Count() {
      most = Math.max(most, ++running)
      const gate = all
      if (running === 10) {
        all = Promise.withResolvers()
        gate.resolve()
      }
      await gate.promise
      running--
      done++
    }
  }
  await work(database, { tasks, concurrency: 10 })
  await until(() => done === 20)
  assert.is(most, 10)
})

test('leaves jobs of tasks that it does not know to others', async () => {
  const database = await createDatabase()
  await using background = createBackground({ connection: database.url })
  const unknown = await background.schedule({ task: 'Unknown' })
  let known = 0
  await work(database, { tasks: { Known: () => void known++ } })
  await background.schedule({ task: 'Known' })
  await until(() => known === 1)
  await until(async () => (await countJobs(database)) === 1)
  const [row] = await database.sql`select id, attempts, locked_at from graphile_worker.jobs`
  assert.equal({ ...row }, { id: unknown.id, attempts: 0, locked_at: null })
})

test('works without named statements, and in a schema of another name', async () => {
  const database = await createDatabase()
  await using background = createBackground({ connection: database.url, schema: 'other' })
  let done = 0
  await work(database, { tasks: { Count: () => void done++ }, prepare: false, schema: 'other', pollInterval: 600_000 })
  for (let n = 0; n < 5; n++) await background.schedule({ task: 'Count', queue: Queue.for('one') })
  await until(() => done === 5)
  const rest = async () => (await database.sql`select count(*)::int from other.jobs`)[0]?.count
  await until(async () => (await rest()) === 0)
})

const badOptions: [object, string][] = [
  [{ concurrency: 0 }, 'concurrency is 0, not a whole number from 1'],
  [{ concurrency: 1.5 }, 'concurrency is 1.5, not a whole number from 1'],
  [{ concurrency: 4, localQueueSize: 3 }, 'localQueueSize is 3, not a whole number from 4'],
  [{ pollInterval: 9 }, 'pollInterval is 9 ms, less than 10 ms'],
  [{ pollInterval: Number.NaN }, "pollInterval is NaN, not a duration such as '5m', 300_000 or { minutes: 5 }"],
  [{ concurrency: 2 ** 31 }, 'concurrency is 2147483648, not a whole number from 1 to 2147483647'],
  [{ shutdownTimeout: -1 }, 'shutdownTimeout is -1 ms, less than nothing'],
  [{ localQueueTtl: Number.POSITIVE_INFINITY }, 'localQueueTtl is infinite']
]
for (const [options, reason] of badOptions) {
  refusal(`when ${reason}`, async () => {
    const error = await startWorker({ tasks: { Note: () => {} }, ...options }).catch(thrown => thrown)
    assert.ok(error instanceof RangeError || error instanceof TypeError)
    assert.is(error.message, `Cannot start a worker: ${reason}`)
  })
}

test('says once that jobs wait which no worker knows, however many of them, and not of those of a peer', async () => {
  const database = await createDatabase()
  const logger = createRecorder()
  await work(database, { tasks: { Peer: () => {} } })
  await until(async () => (await database.sql`select from kretes.workers`).length === 1)
  await database.sql`update kretes.workers set tasks = array['Peer', 'Shared']`
  await fill(database, 'V', 38)
  await fill(database, 'Shared', 1)
  await work(database, { tasks: { Note: () => {} }, logger })
  await until(() => logger.of('worker.unknown-tasks').length === 1)
  const [line] = logger.of('worker.unknown-tasks')
  assert.match(line?.message ?? '', /^Jobs wait for tasks that no worker has: V\. /)
})

test('is ready once it is known to its peers', async () => {
  const database = await createDatabase()
  await using background = createBackground({ connection: database.url })
  await background.migrate()
  let isReady = false
  const lock = Promise.withResolvers<void>()
  const holding = database.sql.begin(async transaction => {
    await transaction`lock table kretes.workers`
    await lock.promise
  })
  const worker = await work(database, { tasks: { Note: () => {} } })
  const ready = worker.ready.then(() => {
    isReady = true
  })
  await awaitedLock(database.sql)
  assert.is(isReady, false)
  lock.resolve()
  await holding
  await ready
})

test('takes times that are longer than a timer of the runtime', async () => {
  const database = await createDatabase()
  let done = 0
  const longest = { pollInterval: 2 ** 31, localQueueTtl: 2 ** 40, shutdownTimeout: Number.MAX_SAFE_INTEGER }
  const logger = createRecorder()
  const worker = await work(database, { tasks: { Count: () => void done++ }, logger, ...longest })
  await fill(database, 'Count', 30)
  await until(() => done === 30)
  assert.equal(await worker.stop(), { unfinished: 0 })
  assert.is(logger.lines.filter(({ level }) => level === 'warn').length, 0)
})

refusal('without a task', async () => {
  const error = await startWorker({ tasks: {} }).catch(thrown => thrown)
  assert.equal([error.code, error.message], ['TASKS', 'Cannot start a worker: there are no tasks'])
})
