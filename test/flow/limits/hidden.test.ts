import { Limit } from '../../../src/limit/limit.ts'
import { Queue } from '../../../src/queue.ts'
import { defineTask } from '../../../src/task.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { countLocked, POLL, type Prepared, prepare, registered, stopWorkers, work } from '../prepare.ts'
import { areRunning, createRecord, isAllDone, type Numbered, type Record } from './slots.ts'

const views = suite('the views, beside jobs with limits,')
const calls = suite('calls, beside jobs with limits,')
views.after.each(stopWorkers)
calls.after.each(stopWorkers)

/**
 * A worker that runs a job of the key `a`, while another one of it and one of each of ten further keys, for later, wait.
 * There is also a job on a queue and one without limits.
 */
async function arrange(): Promise<Prepared & { readonly record: Record }> {
  const prepared = await prepare()
  const { database, background } = prepared
  const record = createRecord()
  const per = ({ key }: Numbered) => key ?? null
  const Charge = defineTask({
    name: 'Charge',
    limit: [{ concurrency: 1, per }, Limit.for('stripe', { concurrency: 3 })],
    run: record.hold('Charge') as never
  })
  const Refund = defineTask({ name: 'Refund', limit: Limit.for('stripe', { concurrency: 3 }), run: () => {} })
  await background.pause({ queue: 'mail' })
  await work(database, { tasks: { Charge, Refund, Mail: () => {} }, ...POLL })
  await registered(database)
  for (const n of [1, 2]) await background.schedule({ task: Charge, payload: { n, key: 'a' } })
  await background.scheduleMany(
    Array.from({ length: 10 }, (_, n) => ({ task: Charge, payload: { n, key: `later ${n}` }, delay: '1h' }))
  )
  await background.schedule({ task: 'Mail', queue: Queue.for('mail') })
  await background.schedule({ task: 'Mail', delay: '1h' })
  await areRunning(record, 1)
  await until(async () => (await background.status()).totals.running === 1)
  // The worker has fetched the second one too, and gives it back.
  await until(async () => (await countLocked(database)) === 1)
  return { ...prepared, record }
}

views('show jobs with the key of their limit and no queue', async () => {
  const { sql } = (await arrange()).database
  const rows = await sql`
    select task, queue, limit_key, state, count(*)::int from kretes.jobs
    where limit_key is null or limit_key not like 'later %' group by 1, 2, 3, 4 order by 1, 2, 3, 4`
  assert.equal(
    rows.map(({ task, queue, limit_key, state, count }) => [task, queue, limit_key, state, count]),
    [
      ['Charge', null, 'a', 'running', 1],
      ['Charge', null, 'a', 'waiting', 1],
      ['Mail', 'mail', null, 'waiting', 1],
      ['Mail', null, null, 'scheduled', 1]
    ]
  )
  const keys = await sql`select limit_key from kretes.jobs where state = 'scheduled' and task = 'Charge' order by 1`
  assert.equal(
    keys.map(row => row.limit_key),
    Array.from({ length: 10 }, (_, n) => `later ${n}`)
  )
})

views('list no queues for them, and count them for their tasks', async () => {
  const { database, record } = await arrange()
  const { sql } = database
  const queues = async (): Promise<unknown[]> => (await sql`select queue from kretes.queues`).map(row => row.queue)
  assert.equal(await queues(), ['mail'])
  const [task] = await sql`
    select waiting::int, scheduled::int, running::int from kretes.tasks where task = 'Charge'`
  assert.equal(task, { waiting: 1, scheduled: 10, running: 1 })
  record.open()
  await until(async () => (await sql`select from kretes.runs where task = 'Charge'`).length === 2)
  assert.equal(await queues(), ['mail'])
  assert.equal(
    (await sql`select distinct queue from kretes.runs`).map(row => row.queue),
    [null]
  )
  assert.equal([...(await sql`select from kretes.queue_counters`)], [])
})

views('show each limit: what it is, what is in use and what waits', async () => {
  const { database, background, record } = await arrange()
  const read = async (): Promise<unknown[]> => {
    const rows = await database.sql`
      select kind, name, per_key, concurrency, declared_concurrency, set_at is not null as is_set, used::int, keys_used::int,
        waiting::int, oldest_waiting > interval '0' as has_oldest
      from kretes.limits order by kind, name`
    return rows.map(row => Object.values(row))
  }
  assert.equal(await read(), [
    ['shared', 'stripe', false, 3, 3, false, 1, null, 1, true],
    ['task', 'Charge', true, 1, 1, false, 1, 1, 1, true]
  ])
  await background.limits.set({ limit: 'stripe', concurrency: 7 })
  assert.equal((await read())[0], ['shared', 'stripe', false, 7, 3, true, 1, null, 1, true])
  record.open()
  await until(async () => (await database.sql`select from kretes.runs where task = 'Charge'`).length === 2)
  await until(async () => (await database.sql`select from kretes.leases`).length === 0)
  assert.equal(await read(), [
    ['shared', 'stripe', false, 7, 3, true, 0, null, 0, null],
    ['task', 'Charge', true, 1, 1, false, 0, 0, 0, null]
  ])
})

calls('do not know queues of them: status and lists', async () => {
  const { background, record } = await arrange()
  const { queues, moreQueues, limits, tasks } = await background.status()
  assert.equal([queues.map(({ queue }) => queue), moreQueues], [['mail'], 0])
  assert.equal((await background.status({ maxQueues: 1 })).moreQueues, 0)
  assert.equal(
    limits.map(({ kind, name, used, waiting }) => [kind, name, used, waiting]),
    [
      ['shared', 'stripe', 1, 1],
      ['task', 'Charge', 1, 1]
    ]
  )
  assert.is(tasks.find(({ task }) => task === 'Charge')?.scheduled, 10)
  const { jobs } = await background.jobs({ task: 'Charge' })
  assert.equal(
    jobs.map(({ queue }) => queue),
    Array(12).fill(null)
  )
  record.open()
  await until(async () => (await background.runs({ task: 'Charge' })).runs.length === 2)
  assert.equal(
    (await background.runs({ task: 'Charge' })).runs.map(run => run.queue),
    [null, null]
  )
  assert.equal(
    (await background.status()).queues.map(({ queue }) => queue),
    ['mail']
  )
})

calls('find none of them by the name of a queue that they do not have', async () => {
  const { database, background } = await arrange()
  const [row] = await database.sql<{ name: string }[]>`
    select queue_name as name from graphile_worker._private_job_queues where queue_name = 'kretes:limit Charge a'`
  const queue = row!.name
  assert.is((await background.jobs({ queue: 'mail' })).jobs.length, 1)
  assert.equal((await background.runs({ queue })).runs, [])
  assert.equal((await background.jobs({ queue })).jobs, [])
  assert.is((await background.cancel({ queue }, { dryRun: true })).matched, 0)
})

calls('find nothing wrong: the doctor, beside a worker that takes only jobs without a queue', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Charge = defineTask({ name: 'Charge', limit: { concurrency: 1 }, run: record.hold('Charge') as never })
  await work(database, { tasks: { Charge }, queues: false, ...POLL })
  for (const n of [1, 2]) await background.schedule({ task: Charge, payload: { n } })
  await areRunning(record, 1)
  await until(async () => (await countLocked(database)) === 1)
  assert.equal((await background.doctor()).findings, [])
})

calls('find nothing wrong: the doctor, while jobs run and wait and when none is left', async () => {
  const { background, database, record } = await arrange()
  const codes = async (): Promise<unknown[]> => (await background.doctor()).findings.map(({ code }) => code)
  assert.equal(await codes(), [])
  record.open()
  await background.resume({ queue: 'mail' })
  await background.runNow({ state: 'scheduled' })
  await isAllDone(database)
  assert.equal(await codes(), [])
})

calls('leave them alone where a worker warns of tasks that none knows', async () => {
  const { background, database } = await arrange()
  await stopWorkers()
  const { findings } = await background.doctor()
  assert.ok(findings.some(({ code }) => code === 'no-worker'))
  assert.not.ok(findings.some(({ code }) => code === 'lost-slots'))
  assert.equal([...(await database.sql`select from kretes.leases`)], [])
})
