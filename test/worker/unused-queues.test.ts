import { createBackground } from '../../src/background.ts'
import { Queue } from '../../src/queue.ts'
import { forgetUnusedQueues } from '../../src/worker/unused-queues.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('named queues that have no job')

const database = await createDatabase()
const { sql } = database
const schema = 'graphile_worker'
const background = createBackground({ connection: database.url })
onceDone(() => background.close())
await background.migrate()

test.before.each(async () => {
  await sql`truncate graphile_worker._private_jobs, graphile_worker._private_job_queues`
  await sql`
    insert into graphile_worker._private_job_queues (queue_name, locked_at, locked_by)
    select 'queue ' || n, case n when 1 then now() end, case n when 1 then 'somebody' end from generate_series(1, 50) n`
  await background.schedule({ task: 'Note', queue: Queue.for('queue 2') })
})

test('are forgotten where there are many, but for those that have a job or are held', async () => {
  assert.is(await forgetUnusedQueues(sql, schema, 50), 0)
  assert.is(await forgetUnusedQueues(sql, schema, 49), 48)
  assert.equal(await names(), ['queue 1', 'queue 2'])
})

test('are there again when they are named again', async () => {
  await forgetUnusedQueues(sql, schema, 0)
  await background.schedule({ task: 'Note', queue: Queue.for('queue 7') })
  assert.equal(await names(), ['queue 1', 'queue 2', 'queue 7'])
  assert.is(await strayJobs(), 0)
})

test('stay while somebody schedules on one of them and has not committed', async () => {
  const forgotten = await sql.begin(async transaction => {
    await background.with(transaction).schedule({ task: 'Note', queue: Queue.for('queue 9') })
    return await forgetUnusedQueues(sql, schema, 0)
  })
  assert.is(forgotten, 0)
  assert.is((await names()).length, 50)
  assert.is(await strayJobs(), 0)
})

test('stay while a transaction has a snapshot in which they are there', async () => {
  const forgotten = await sql.begin('isolation level repeatable read', async transaction => {
    await transaction`select count(*) from graphile_worker._private_job_queues`
    const count = await forgetUnusedQueues(sql, schema, 0)
    await background.with(transaction).schedule({ task: 'Note', queue: Queue.for('queue 9') })
    return count
  })
  assert.is(forgotten, 0)
  const [row] = await sql<{ count: number }[]>`select count(*)::int from graphile_worker._private_jobs`
  assert.is(row?.count, 2)
})

async function names(): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select queue_name as name from graphile_worker._private_job_queues order by queue_name`
  return rows.map(({ name }) => name)
}

/** Jobs on a queue that is not there, which nobody would ever fetch. */
async function strayJobs(): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int from graphile_worker._private_jobs job
    where job_queue_id is not null
      and not exists (select from graphile_worker._private_job_queues queue where queue.id = job.job_queue_id)`
  return row?.count ?? 0
}
