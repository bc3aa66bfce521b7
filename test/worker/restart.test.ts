import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { createBackground } from '../../src/background.ts'
import type { TaskContext } from '../../src/task.ts'
import { onceDone } from '../helpers/cleanup.ts'
import type { TestDatabase } from '../helpers/database.ts'
import { startServer } from '../helpers/server.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { countJobs, createRecorder, fill, work } from './work.ts'

const test = suite('the database restarted under a worker')

// A server of its own, so that nobody else is disturbed.
const server = await startServer()
onceDone(() => server.stop())

for (const [how, signal] of [
  ['in good order', 'INT'],
  ['by a crash', 'QUIT']
] as const) {
  test(`${how}: it goes on, and what has finished does not run twice`, async () => {
    const { database, finished, tasks } = await prepare()
    const worker = await work(database, { tasks, pollInterval: 500 })
    await fill(database, 'Count', 600)
    await fill(database, 'Count', 100, { queue: 'one' })
    await fill(database, 'Count', 100, { queues: 5 })
    await until(() => finished.length > 200)
    await server.restart(signal)
    await until(() => finished.length >= 800)
    await until(async () => (await countJobs(database)) === 0)
    assert.is(new Set(finished).size, finished.length)
    assert.is(finished.length, 800)

    await fill(database, 'Count', 10)
    await fill(database, 'Count', 5, { queue: 'one' })
    await until(() => finished.length === 815)
    assert.equal(await worker.stop(), { unfinished: 0 })
  })
}

test('while jobs run for longer than it takes: they are not run again', async () => {
  const { database } = await prepare()
  const gate = Promise.withResolvers<void>()
  const attempts: number[] = []
  const logger = createRecorder()
  const tasks = {
    Wait: async (_: object, { attempt }: TaskContext) => {
      attempts.push(attempt)
      await gate.promise
    },
    Count: () => {}
  }
  const worker = await work(database, { tasks, logger })
  await fill(database, 'Wait', 3)
  await fill(database, 'Wait', 1, { queue: 'one' })
  await until(() => worker.running === 4)
  await server.restart('QUIT')
  await fill(database, 'Count', 1)
  await until(() => logger.of('job.succeeded').length === 1)
  gate.resolve()
  await until(async () => (await countJobs(database)) === 0)
  assert.equal(attempts, [1, 1, 1, 1])
  assert.is(logger.of('job.failed').length, 0)
  assert.equal(await worker.stop(), { unfinished: 0 })
})

test('or every connection cut, again and again: nothing is lost and nothing runs twice', async () => {
  const { database, finished, tasks } = await prepare()
  await work(database, { tasks, pollInterval: 500 })
  await fill(database, 'Count', 1_000)
  await fill(database, 'Count', 100, { queue: 'one' })
  for (let round = 1; round <= 6; round++) {
    await until(() => finished.length > round * 100)
    await database.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where application_name like 'kretes worker%' and pid <> pg_backend_pid()`
  }
  await until(() => finished.length >= 1_100)
  await until(async () => (await countJobs(database)) === 0)
  assert.is(new Set(finished).size, finished.length)
})

test('or the answer to a fetch lost: what the database had locked for it is released and run', async () => {
  const { database, finished, tasks } = await prepare()
  const { sql } = database
  const gate = Promise.withResolvers<void>()
  const logger = createRecorder()
  const worker = await work(database, { tasks: { ...tasks, Wait: () => gate.promise }, pollInterval: 200, logger })
  await fill(database, 'Wait', 1)
  await until(() => worker.running === 1)
  await sql.begin(async transaction => {
    // Nobody fetches meanwhile, and the fetch that would is cut off.
    await transaction`lock table graphile_worker._private_jobs in access exclusive mode`
    await transaction`select graphile_worker.add_job('Count')`
    await transaction`
      update graphile_worker._private_jobs
      set attempts = 1, locked_at = now(), locked_by = (select locked_by from graphile_worker.jobs where locked_by is not null)
      where locked_by is null`
    await until(async () => {
      const cut = await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = ${database.name} and application_name = 'kretes worker' and wait_event_type = 'Lock'`
      return cut.length > 0
    })
  })
  await until(() => finished.length === 1)
  assert.is(logger.of('job.started').filter(({ fields }) => fields.task === 'Count')[0]?.fields.attempt, 1)
  assert.is(worker.running, 1)
  gate.resolve()
  await until(async () => (await countJobs(database)) === 0)
  assert.is(logger.of('job.started').length, 2)
})

test('while it idles: it hears of new jobs again, and misses none from before it does', async () => {
  const { database, finished, tasks } = await prepare()
  await work(database, { tasks, pollInterval: 600_000 })
  await server.restart('INT')
  await using background = createBackground({ connection: database.url })
  for (let n = 1; n <= 5; n++) {
    await background.schedule({ task: 'Count', payload: { n } })
    await until(() => finished.length === n)
  }
})

/** A schema without jobs, and a task that notes which jobs have finished. */
async function prepare(): Promise<{
  database: TestDatabase
  finished: string[]
  tasks: Record<'Count', (_: object, context: TaskContext) => Promise<void>>
}> {
  const name = `restart_${Math.random().toString(36).slice(2)}`
  const admin = postgres(server.url, { max: 1 })
  await admin`create database ${admin(name)}`
  await admin.end()
  const url = new URL(server.url)
  url.pathname = `/${name}`
  const sql = postgres(url.href, { max: 2, onnotice: () => {} })
  onceDone(() => sql.end({ timeout: 1 }))
  await using background = createBackground({ connection: url })
  await background.migrate()
  const finished: string[] = []
  const Count = async (_: object, { job }: TaskContext): Promise<void> => {
    await sleep(5)
    finished.push(job.id)
  }
  return { database: { url: url.href, name, sql, drop: async () => {} }, finished, tasks: { Count } }
}
