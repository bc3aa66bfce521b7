import { createBackground } from '../../src/background.ts'
import { BackgroundError } from '../../src/errors.ts'
import type { TaskContext } from '../../src/task.ts'
import { startWorker } from '../../src/worker/mod.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { startServer } from '../helpers/server.ts'
import { assert, suite } from '../helpers/suite.ts'
import { endsBefore, until } from '../helpers/until.ts'
import { countJobs, createRecorder, fill, type Recorder, work } from './work.ts'

const test = suite('a worker whose engine ends unasked')
const outage = suite('a worker whose database is away')

test('starts it anew and goes on', async () => {
  const { database, logger } = await prepared()
  let done = 0
  const worker = await work(database, { tasks: { Count: () => void done++ }, logger })
  await fill(database, 'Count', 5)
  await until(() => done === 5)
  await endEngine(logger)
  await fill(database, 'Count', 5)
  await fill(database, 'Count', 5, { queue: 'one' })
  await until(() => done === 15)
  assert.equal(await worker.stop(), { unfinished: 0 })
  assert.is(await countJobs(database), 0)
})

test('waits for running jobs, and runs none of them twice', async () => {
  const { database, logger } = await prepared()
  const gate = Promise.withResolvers<void>()
  const attempts: number[] = []
  const Wait = async (_: object, { attempt }: TaskContext): Promise<void> => {
    attempts.push(attempt)
    await gate.promise
  }
  await work(database, { tasks: { Wait }, logger, concurrency: 2 })
  await fill(database, 'Wait', 5)
  await until(() => attempts.length === 2)
  breakEngine()
  gate.resolve()
  await until(async () => (await countJobs(database)) === 0)
  assert.equal(attempts, [1, 1, 1, 1, 1])
})

test('still ends by itself if it is to run once', async () => {
  const { database, logger } = await prepared()
  let done = 0
  const gate = Promise.withResolvers<void>()
  const Count = async (): Promise<void> => {
    await gate.promise
    done++
  }
  await fill(database, 'Count', 20)
  const worker = await work(database, { tasks: { Count }, logger, once: true, concurrency: 2, localQueueSize: 2 })
  await until(() => worker.running === 2)
  breakEngine()
  gate.resolve()
  await worker.finished
  assert.is(done, 20)
  assert.is(await countJobs(database), 0)
})

test('can be stopped at that very moment', async () => {
  for (let round = 0; round < 5; round++) {
    const { database, logger } = await prepared()
    const worker = await work(database, { tasks: { Count: () => {} }, logger })
    await endEngine(logger)
    assert.equal(await worker.stop({ timeout: 1_000 }), { unfinished: 0 })
    await worker.finished
  }
})

test('ends with DATABASE_NEWER when a newer version has migrated the database, and runs nothing twice', async () => {
  const { database, logger } = await prepared()
  const { exitCode } = process
  const gate = Promise.withResolvers<void>()
  const attempts: number[] = []
  const Wait = async (_: object, { attempt }: TaskContext): Promise<void> => {
    attempts.push(attempt)
    await gate.promise
  }
  const worker = await startWorker({ connection: database.url, tasks: { Wait }, logger, concurrency: 2 })
  await fill(database, 'Wait', 5)
  await until(() => attempts.length === 2)
  await database.sql`insert into graphile_worker.migrations (id, breaking) values (99, true)`
  // Before the engine listens, nobody hears it.
  await until(
    async () => {
      await database.sql`select pg_notify('worker:migrate', '{"migrationNumber": 99, "breaking": true}')`
      return logger.lines.some(({ message }) => message === 'Attempting graceful shutdown')
    },
    { intervalMs: 200 }
  )
  gate.resolve()
  const error = await worker.finished.then(
    () => undefined,
    (reason: unknown) => reason
  )
  assert.ok(error instanceof BackgroundError && error.code === 'DATABASE_NEWER', String(error))
  assert.match(error.message, /schema graphile_worker: it is at version 99/)
  assert.is(process.exitCode, exitCode)
  // Those that ran are done; the others wait for whoever knows that version.
  assert.equal(attempts, [1, 1])
  const left = await database.sql`select from graphile_worker.jobs where locked_at is null and attempts = 0`
  assert.is(left.length, 3)
  assert.is(await countJobs(database), 3)
  assert.is((await database.sql`select from kretes.workers`).length, 0)
})

test('leaves the exit code of its process alone', async () => {
  const { database, logger } = await prepared()
  const { exitCode } = process
  await work(database, { tasks: { Count: () => {} }, logger })
  await endEngine(logger)
  await until(() => logger.lines.some(({ message }) => message.startsWith('The engine ended')))
  assert.is(process.exitCode, exitCode)
})

outage('stops within its time', async () => {
  const server = await startServer()
  onceDone(() => server.stop())
  const gate = Promise.withResolvers<void>()
  {
    await using background = createBackground({ connection: server.url })
    await background.schedule({ task: 'Wait' })
    await background.schedule({ task: 'Done' })
  }
  const logger = createRecorder()
  const done = Promise.withResolvers<void>()
  const tasks = { Wait: () => gate.promise, Done: () => done.promise }
  const database = { url: server.url } as TestDatabase
  const worker = await work(database, { tasks, logger })
  await until(() => worker.running === 2)
  await server.stop()
  // Its end cannot be written any more.
  done.resolve()
  await until(() => worker.running === 1)
  assert.equal(await endsBefore(5_000, () => worker.stop({ timeout: 500 })), { unfinished: 1 })
  await worker.finished
  gate.resolve()
})

async function prepared(): Promise<{ database: TestDatabase; logger: Recorder }> {
  const database = await createDatabase()
  await using background = createBackground({ connection: database.url })
  await background.migrate()
  return { database, logger: createRecorder() }
}

interface EngineModule {
  readonly _allWorkerPools: readonly { gracefulShutdown(): Promise<void> }[]
}

/** What the engine exports for tests only, from a file that its package does not name. */
const { _allWorkerPools }: EngineModule = await import(new URL('main.js', import.meta.resolve('graphile-worker')).href)

/** Has the newest engine of this process end. */
function breakEngine(): void {
  // It resolves when the running jobs have ended.
  void _allWorkerPools.at(-1)?.gracefulShutdown()
}

async function endEngine(logger: Recorder): Promise<void> {
  breakEngine()
  await until(() => logger.lines.some(({ message }) => message.startsWith('The engine ended')))
}
