import { createBackground } from '../../src/background.ts'
import { Queue } from '../../src/queue.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { work } from '../worker/work.ts'

const test = suite('status()')

test('of an empty database is all noughts', async () => {
  const { background } = await open()
  await background.migrate()
  const { totals, tasks, queues, moreQueues, workers, at, since } = await background.status()
  assert.equal([tasks, queues, moreQueues, workers], [[], [], 0, []])
  assert.equal([totals.waiting, totals.failed, totals.succeeded, totals.ratePerMinute], [0, 0, 0, 0])
  assert.equal([totals.oldestWaitingMs, totals.p50Ms, totals.averageWaitedMs], [null, null, null])
  assert.ok(at.getTime() - since.getTime() >= 3_600_000)
})

test('counts jobs by state, task and queue, and tells who holds a queue', async () => {
  const { database, background } = await open()
  const gate = Promise.withResolvers<void>()
  onceDone(() => gate.resolve())
  const tasks = {
    Wait: () => gate.promise,
    Fail: () => {
      throw new Error('It broke')
    },
    Note: () => {}
  }
  const worker = await work(database, { tasks, concurrency: 3, backoff: ['1h'] })
  const queue = Queue.for('email')
  await background.schedule({ task: 'Fail' })
  await background.schedule({ task: 'Fail', maxAttempts: 1 })
  await background.schedule({ task: 'Note' })
  await background.schedule({ task: 'Note', queue: Queue.for('done') })
  await background.schedule({ task: 'Note', delay: '1h' })
  await until(async () => (await background.status()).totals.succeeded === 2)
  await until(async () => (await background.status()).totals.failures === 2)
  await background.schedule({ task: 'Wait', queue })
  await background.schedule({ task: 'Wait', queue })
  await background.schedule({ task: 'Nobody' })
  await until(() => worker.running === 1)
  const status = await background.status({ window: '5m' })
  const by = Object.fromEntries(status.tasks.map(task => [task.task, task]))
  assert.equal(Object.keys(by), ['Fail', 'Nobody', 'Note', 'Wait'])
  assert.equal([by.Fail?.retrying, by.Fail?.failed, by.Fail?.failures, by.Fail?.succeeded], [1, 1, 2, 0])
  assert.equal([by.Note?.scheduled, by.Note?.succeeded, by.Note?.waiting, by.Note?.workers], [1, 2, 0, 1])
  assert.equal([by.Nobody?.waiting, by.Nobody?.workers], [1, 0])
  assert.type(by.Note?.p50Ms, 'number')
  assert.type(by.Nobody?.oldestWaitingMs, 'number')
  assert.equal(
    status.queues.map(({ queue, worker }) => [queue, worker]),
    [
      ['email', status.workers[0]?.id],
      ['done', null]
    ]
  )
  assert.instance(status.queues[0]?.heldSince, Date)
  assert.is(status.queues[1]?.succeeded, 1)
  const [only] = status.workers
  assert.equal(
    [only?.pid, only?.concurrency, only?.isAlive, only?.tasks],
    [process.pid, 3, true, ['Wait', 'Fail', 'Note']]
  )
  assert.instance(only?.startedAt, Date)
  assert.is(status.totals.ratePerMinute > 0, true)
})

test('equals a recount of what the views say', async () => {
  const { database, background } = await open()
  await background.migrate()
  await database.sql`
    select graphile_worker.add_job(
      'Task' || n % 3, queue_name => case when n % 2 = 0 then 'queue ' || n % 8 end,
      run_at => now() + case when n % 5 = 0 then interval '1 hour' else interval '-1 minute' end
    ) from generate_series(1, 200) n`
  await database.sql`
    insert into kretes.counters (minute, runs, duration_bucket, task, state, waiting_ms, running_ms)
    select date_trunc('minute', now()), 2, 40, 'Task' || n % 3, case when n % 4 = 0 then 'failed' else 'succeeded' end, 10, 64
    from generate_series(1, 100) n`
  await database.sql`
    insert into kretes.queue_counters (minute, runs, duration_bucket, queue, state, waiting_ms, running_ms)
    select date_trunc('minute', now()), 2, 40, 'queue ' || n % 8, case when n % 4 = 0 then 'failed' else 'succeeded' end, 10, 64
    from generate_series(2, 100, 2) n`
  const status = await background.status()
  const views = await database.sql`
    select task as name, waiting::int, scheduled::int, succeeded_last_hour::int as succeeded, failures_last_hour::int as failures
    from kretes.tasks order by 1`
  assert.equal(
    status.tasks.map(({ task, waiting, scheduled, succeeded, failures }) => ({
      name: task,
      waiting,
      scheduled,
      succeeded,
      failures
    })),
    views.map(row => ({ ...row }))
  )
  const queues = await database.sql`
    select queue, waiting::int, scheduled::int, succeeded_last_hour::int as succeeded from kretes.queues order by waiting desc, queue`
  const listed = status.queues.map(({ queue, waiting, scheduled, succeeded }) => ({
    queue,
    waiting,
    scheduled,
    succeeded
  }))
  const order = (rows: { queue?: string }[]): unknown => rows.toSorted((a, b) => (a.queue! < b.queue! ? -1 : 1))
  assert.equal(order(listed), order(queues.map(row => ({ ...row }))))
  assert.equal([status.totals.waiting, status.totals.scheduled, status.totals.succeeded], [160, 40, 150])
  // A bucket of 40 begins at 32 ms.
  assert.ok(status.totals.p99Ms! >= 32 && status.totals.p99Ms! < 36)
  const few = await background.status({ maxQueues: 1 })
  assert.equal([few.queues.length, few.moreQueues], [1, 3])
})

test('lists the queues with the most jobs, however many names there are', async () => {
  const { database, background } = await open()
  await background.migrate()
  await database.sql`
    insert into graphile_worker._private_job_queues (queue_name) select 'queue ' || n from generate_series(1, 30000) n`
  await database.sql`insert into graphile_worker._private_tasks (identifier) values ('Any')`
  await database.sql`
    insert into graphile_worker._private_jobs (job_queue_id, task_id)
    select queue.id, task.id
    from graphile_worker._private_job_queues queue, graphile_worker._private_tasks task,
      generate_series(1, case queue_name when 'queue 7' then 300 when 'queue 77' then 200 else 1 end)`
  const { totals, queues, moreQueues } = await background.status()
  assert.equal([totals.waiting, queues.length, moreQueues], [30_498, 100, 29_900])
  assert.equal(
    queues.slice(0, 2).map(({ queue, waiting }) => [queue, waiting]),
    [
      ['queue 7', 300],
      ['queue 77', 200]
    ]
  )
})

test('shows a worker that was lost as such', async () => {
  const { database, background } = await open()
  await background.migrate()
  await database.sql`
    insert into kretes.workers (id, host, pid, concurrency, tasks, beat_at)
    values ('worker-lost', 'elsewhere', 1, 4, '{Note}', now() - interval '1 minute')`
  const [worker] = (await background.status()).workers
  assert.equal([worker?.id, worker?.isAlive, worker?.host], ['worker-lost', false, 'elsewhere'])
  assert.ok(worker!.beatAgeMs >= 60_000)
})

test('refuses a window that is none', async () => {
  const { background } = await open()
  for (const [window, type] of [
    ['soon', TypeError],
    ['1s', RangeError]
  ] as const) {
    try {
      await background.status({ window })
      assert.unreachable()
    } catch (error) {
      assert.instance(error, type)
    }
  }
})

async function open(): Promise<{ database: TestDatabase; background: ReturnType<typeof createBackground> }> {
  const database = await createDatabase()
  const background = createBackground({ connection: database.url })
  onceDone(() => background.close())
  return { database, background }
}
