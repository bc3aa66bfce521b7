import postgres from 'postgres'
import { createBackground } from '../../src/background.ts'
import { Queue } from '../../src/queue.ts'
import { defineTask } from '../../src/task.ts'
import { startWorker } from '../../src/worker/worker.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { startServer } from '../helpers/server.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'

const test = suite('a hot standby')

const primary = await startServer()
onceDone(primary.stop)
await using background = createBackground({ connection: primary.url })
const worker = await startWorker({
  connection: primary.url,
  tasks: {
    Fine: () => 'fine',
    Broken() {
      throw new Error('broken')
    },
    Limited: defineTask({ name: 'Limited', limit: { concurrency: 1 }, run: () => {} })
  }
})
await background.schedule({ task: 'Fine', queue: Queue.for('a queue') }).then(job => job.result())
const failed = await background.schedule({ task: 'Broken', maxAttempts: 1 })
await failed.result().catch(() => {})
const waiting = await background.schedule({ task: 'Nobody', delay: '1h' })
await background.recurring.set('tomorrow', { task: 'Broken', every: '1d' })

const standby = await startServer({ primary })
onceDone(standby.stop)
onceDone(() => worker.stop())
const sql = postgres(standby.url, { max: 1 })
onceDone(() => sql.end())
const reader = createBackground({ connection: standby.url })
onceDone(() => reader.close())
await until(async () => (await sql`select pg_is_in_recovery() as recovering`)[0]?.recovering === true)

test('shows every view', async () => {
  const views = await sql<{ name: string }[]>`
    select table_name as name from information_schema.views where table_schema = 'kretes' order by 1`
  assert.equal(
    views.map(({ name }) => name),
    ['jobs', 'limit_history', 'limits', 'pauses', 'queues', 'rates', 'runs', 'schedules', 'tasks']
  )
  for (const { name } of [...views, { name: 'workers' }]) {
    const rows = await sql`select * from kretes.${sql(name)}`
    if (name !== 'pauses' && name !== 'limit_history') assert.ok(rows.length > 0, name)
  }
})

test('answers every question about jobs and runs', async () => {
  const { jobs } = await reader.jobs()
  assert.equal(jobs.map(({ id, state }) => [id, state]).sort(), [
    [failed.id, 'failed'],
    [waiting.id, 'scheduled']
  ])
  assert.is((await reader.jobs({ state: 'failed', task: 'Broken', search: 'broken' })).jobs.length, 1)
  assert.is((await reader.runs()).runs.length, 2)
  assert.is((await reader.job(failed.id))?.state, 'failed')
  assert.is((await reader.status()).workers.length, 1)
  assert.is((await reader.why(waiting.id)).reasons[0]?.code, 'scheduled')
  assert.is((await reader.why('tomorrow')).reasons[0]?.code, 'next-occurrence')
  assert.is((await reader.recurring.list()).entries.length, 1)
  assert.is((await reader.recurring.preview('tomorrow')).length, 10)
  const { findings } = await reader.doctor()
  const errors = findings.filter(({ severity }) => severity === 'error')
  assert.equal(
    errors.map(({ code }) => code),
    ['read-only']
  )
})

test('refuses a job in clear words', async () => {
  const error = await reader.schedule({ task: 'Fine' }).catch(error => error)
  assert.match(error.message, /read-only/)
  assert.is(error.code, 'DATABASE_UNAVAILABLE')
})
