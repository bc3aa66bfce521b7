import postgres from 'postgres'
import { createBackground } from '../../mod.ts'
import { coalesce } from '../../src/async/coalesce.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { countJobs, createRecorder, type Recorder, work } from './work.ts'

const test = suite('a notification of anybody')

const database = await createDatabase()
const { sql } = database
const background = createBackground({ connection: database.url })
onceDone(() => background.close())
await background.migrate()
const stranger = await createStranger()

test('cancels no job, whether it runs or waits in the worker', async () => {
  const gate = Promise.withResolvers<void>()
  const logger = createRecorder()
  const ran = new Set<number>()
  const Count = async ({ n }: { n: number }): Promise<void> => {
    ran.add(n)
    await gate.promise
  }
  const options = { concurrency: 2, localQueueSize: 10, localQueueTtl: 60_000 }
  await using worker = await work(database, { ...options, logger, tasks: { Count } })
  const jobs = await background.scheduleMany({ task: 'Count', payloads: [1, 2, 3, 4, 5].map(n => ({ n })) })
  await until(() => worker.running === 2)
  await until(async () => (await sql`select from graphile_worker.jobs where locked_at is not null`).length === 5)
  await whenListening()
  for (const { id } of jobs) await notify('kretes:cancel', { schema: 'graphile_worker', job: id })
  await whenHeard(logger, jobs.length)
  gate.resolve()
  await until(async () => (await countJobs(database)) === 0)
  assert.is(ran.size, 5)
  assert.equal([logger.of('job.cancelled').length, logger.of('job.succeeded').length], [0, 5])
})

test('of a migration does not end the engine', async () => {
  const logger = createRecorder()
  await using _worker = await work(database, { logger, tasks: { Count: () => {} } })
  await background.schedule({ task: 'Count' })
  await until(() => logger.of('job.succeeded').length === 1)
  await whenListening()
  await notify('worker:migrate', { migrationNumber: 99, breaking: true })
  await whenHeard(logger)
  await background.schedule({ task: 'Count' })
  await until(() => logger.of('job.succeeded').length === 2)
  assert.is(logger.lines.filter(({ message }) => /engine ended|breaking/.test(message)).length, 0)
})

test('of an end settles no result', async () => {
  const gate = Promise.withResolvers<void>()
  await using worker = await work(database, { tasks: { Answer: () => gate.promise.then(() => 42) } })
  const job = await background.schedule({ task: 'Answer' })
  let isSettled = false
  const result = job.result().finally(() => {
    isSettled = true
  })
  await until(() => worker.running === 1)
  await until(async () => (await sql`select from kretes.waiters where job_id = ${job.id}`).length === 1)
  for (let count = 0; count < 100; count++) await notify('kretes:ended', { schema: 'graphile_worker', job: job.id })
  assert.is(isSettled, false)
  gate.resolve()
  assert.is(await result, 42)
})

for (const payload of [
  '',
  'not JSON',
  'null',
  '7',
  '[]',
  '{"count":"many"}',
  '{"count":1e308}',
  '{"schema":1,"job":{}}'
]) {
  test(`may hold ${payload || 'nothing'}`, async () => {
    const logger = createRecorder()
    await using _worker = await work(database, { logger, tasks: { Count: () => {} } })
    await whenListening()
    for (const channel of ['kretes:cancel', 'worker:migrate', 'jobs:insert']) {
      await stranger`select pg_notify(${channel}, ${payload})`
    }
    await background.schedule({ task: 'Count' })
    await until(() => logger.of('job.succeeded').length === 1)
    assert.is(logger.lines.filter(({ level }) => level === 'warn' || level === 'error').length, 0)
  })
}

test('is answered together with all others that come while it is answered', async () => {
  let looks = 0
  let finish = (): void => {}
  const { ask, stop } = coalesce(() => {
    looks++
    return new Promise(resolve => {
      finish = resolve
    })
  }, 1)
  for (let count = 0; count < 1_000; count++) ask()
  assert.is(looks, 1)
  finish()
  await until(() => looks === 2)
  finish()
  ask()
  stop()
  assert.is(looks, 2)
})

/** The login of somebody who may do nothing here but connect. */
async function createStranger(): Promise<postgres.Sql> {
  const url = new URL(database.url)
  const role = `stranger_${database.name}`
  await sql`create role ${sql(role)} login password 'stranger'`
  url.username = role
  url.password = 'stranger'
  const client = postgres(url.href, { max: 1, onnotice: () => {} })
  onceDone(async () => {
    await client.end({ timeout: 1 })
    await sql`drop role ${sql(role)}`
  })
  return client
}

async function notify(channel: string, payload: object): Promise<void> {
  await stranger`select pg_notify(${channel}, ${JSON.stringify(payload)})`
}

/** Waits until the worker listens to all its channels. */
async function whenListening(): Promise<void> {
  await until(async () => {
    const [row] = await sql`
      select from pg_stat_activity
      where datname = current_database() and application_name = 'kretes worker' and state = 'idle'
        and (query ilike 'listen "kretes:cancel"%' or query = '')`
    return row !== undefined
  })
}

/** Waits until the worker has heard all that was sent, of which so many were of this channel: the engine logs these. */
async function whenHeard(logger: Recorder, before = 0): Promise<void> {
  await notify('kretes:cancel', { schema: 'graphile_worker', job: '0' })
  const heard = () => logger.lines.filter(({ message }) => message.includes("'kretes:cancel'"))
  await until(() => heard().length === before + 1)
}
