import postgres from 'postgres'
import { createBackground } from '../../src/background.ts'
import { poolOf } from '../../src/database/connections/pool.ts'
import { statement, textArray } from '../../src/sql/statement.ts'
import { hasDueJobs } from '../../src/sql/worker/due.ts'
import { notifyWorkers } from '../../src/sql/worker/notify.ts'
import { releaseForgotten, releaseWorker } from '../../src/sql/worker/release.ts'
import { choiceOf } from '../helpers/choice.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'

const test = suite("the worker's own statements")

const database = await createDatabase()
const { sql } = database
const connections = poolOf(sql)
const { execute } = connections
const schema = 'graphile_worker'
{
  await using background = createBackground({ connection: database.url })
  await background.migrate()
}

interface Row {
  id: string
  attempts: number
  by: string | null
  queue: string | null
}

test.before.each(() => sql`truncate graphile_worker._private_jobs, graphile_worker._private_job_queues`)

test('releaseWorker() frees the jobs and queues of one worker and gives them their attempt back', async () => {
  const [a, b, c] = [await add('one'), await add(), await add('two')]
  const heard = await listen()
  await lock('mine', a, b)
  await lock('other', c)
  assert.is(await releaseWorker(connections, schema, 'mine'), 2)
  assert.equal(await rows(), [
    { id: a, attempts: 2, by: null, queue: null },
    { id: b, attempts: 2, by: null, queue: null },
    { id: c, attempts: 3, by: 'other', queue: 'other' }
  ])
  await until(() => heard.includes('{"count" : 2}'))
  assert.is(await releaseWorker(connections, schema, 'mine'), 0)
})

test('releaseWorker() lets a job that was on its last attempt run again', async () => {
  const id = await add()
  await lock('mine', id)
  await sql`update graphile_worker._private_jobs set attempts = max_attempts`
  await releaseWorker(connections, schema, 'mine')
  const [row] = await sql`select attempts, max_attempts, is_available from graphile_worker._private_jobs`
  assert.equal({ ...row }, { attempts: 24, max_attempts: 25, is_available: true })
})

test('releaseWorker() releases as many jobs as there are with the same few statements, but for those that are over', async () => {
  const ids: string[] = []
  for (let count = 0; count < 60; count++) ids.push(await add(count % 2 === 0 ? `queue ${count}` : null))
  await lock('mine', ...ids)
  const sent: string[] = []
  const watched = postgres(database.url, { max: 1, fetch_types: false, debug: (_, text) => void sent.push(text) })
  onceDone(() => watched.end({ timeout: 1 }))
  const over = ids.slice(0, 10)
  const count = await releaseWorker(poolOf(watched), schema, 'mine', async (execute, held) => {
    assert.equal(
      held.map(({ id }) => id),
      ids
    )
    await execute(
      statement`delete from graphile_worker._private_jobs where id = any(${textArray(over)}::text::bigint[])`
    )
    return over
  })
  assert.is(count, 50)
  assert.ok(sent.length < 10, sent.join('\n'))
  assert.equal(
    await rows(),
    ids.slice(10).map(id => ({ id, attempts: 2, by: null, queue: null }))
  )
})

test('releaseForgotten() frees only jobs that the worker does not know of', async () => {
  const [a, b, c, d] = [await add('one'), await add('two'), await add(), await add('three')]
  await lock('mine', a, b, c)
  await lock('other', d)
  assert.is(await releaseForgotten(execute, schema, 'mine', [a]), 2)
  assert.equal(await rows(), [
    { id: a, attempts: 3, by: 'mine', queue: 'mine' },
    { id: b, attempts: 2, by: null, queue: null },
    { id: c, attempts: 2, by: null, queue: null },
    { id: d, attempts: 3, by: 'other', queue: 'other' }
  ])
  assert.is(await releaseForgotten(execute, schema, 'mine', []), 1)
  assert.is(await releaseForgotten(execute, schema, 'mine', []), 0)
})

test('hasDueJobs() sees what is due for these tasks and nobody holds back', async () => {
  const isDue = (tasks = ['Count']) =>
    hasDueJobs(execute, schema, { choice: choiceOf(...tasks), worker: 'mine', without: [] })
  assert.is(await isDue(), false)
  const id = await add('one')
  assert.is(await isDue(), true)
  assert.is(await isDue(['Other', 'Another']), false)
  await sql`update graphile_worker._private_jobs set run_at = now() + interval '1 minute'`
  assert.is(await isDue(), false)
  await sql`update graphile_worker._private_jobs set run_at = now(), attempts = max_attempts`
  assert.is(await isDue(), false)
  await sql`update graphile_worker._private_jobs set attempts = 1`
  assert.is(await isDue(), true)
  await lock('mine', id)
  assert.is(await isDue(), false)
  await add('one')
  assert.is(await isDue(), true)
  await sql`update graphile_worker._private_job_queues set locked_by = 'other'`
  assert.is(await isDue(), false)
})

test('notifyWorkers() speaks as add_job does', async () => {
  const heard = await listen()
  await add()
  await until(() => heard.length === 1)
  await notifyWorkers(execute, 7)
  await until(() => heard.length === 2)
  const [theirs, ours] = heard.map(text => JSON.parse(text))
  assert.is(theirs.count, 1)
  assert.equal(ours, { count: 7 })
})

async function add(queue: string | null = null): Promise<string> {
  const [row] = await sql<
    { id: string }[]
  >`select id from graphile_worker.add_job('Count', queue_name => ${queue}::text)`
  return row?.id ?? ''
}

/** Locks jobs and their queues as a fetch does, in their third attempt. */
async function lock(worker: string, ...ids: string[]): Promise<void> {
  await sql`
    update graphile_worker._private_jobs set locked_by = ${worker}, locked_at = now(), attempts = 3
    where id in ${sql(ids)}`
  await sql`
    update graphile_worker._private_job_queues set locked_by = ${worker}, locked_at = now()
    where id in (select job_queue_id from graphile_worker._private_jobs where id in ${sql(ids)})`
}

async function rows(): Promise<Row[]> {
  return [
    ...(await sql<Row[]>`
      select jobs.id, attempts, jobs.locked_by as by, queues.locked_by as queue
      from graphile_worker._private_jobs jobs
      left join graphile_worker._private_job_queues queues on queues.id = job_queue_id
      order by jobs.id`)
  ].map(row => ({ ...row }))
}

async function listen(): Promise<string[]> {
  const heard: string[] = []
  await sql.listen('jobs:insert', text => void heard.push(text))
  return heard
}
