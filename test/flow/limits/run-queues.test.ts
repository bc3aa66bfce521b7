import { Queue } from '../../../src/queue.ts'
import { peerTimings } from '../../../src/rules/timings.ts'
import { defineTask } from '../../../src/task.ts'
import type { WorkerOptions } from '../../../src/worker/options.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { countJobs } from '../../worker/work.ts'
import { POLL, prepare, registered, stopWorkers, work } from '../prepare.ts'
import { areRunning, createRecord, haveEnded, isAllDone, noSlots, payloads, slotsOf } from './slots.ts'

const test = suite('a queue with a concurrency')
test.after.each(stopWorkers)
Object.assign(peerTimings, { beatEveryMs: 200 })

const crm = Queue.for('crm', { concurrency: 3 })

test('runs as many jobs at the same time, of all its tasks and on all workers, in order', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const [One, Two] = ['One', 'Two'].map(name => defineTask({ name, run: record.hold(name) }))
  for (let n = 1; n <= 4; n++) {
    await background.schedule({ task: One!, payload: { n: 2 * n - 1 }, queue: crm })
    await background.schedule({ task: Two!, payload: { n: 2 * n }, queue: crm })
  }
  for (let n = 0; n < 3; n++) await work(database, { tasks: { One: One!, Two: Two! }, ...POLL })
  await areRunning(record, 3)
  assert.equal(await slotsOf(database), { 'queue crm': 3 })
  assert.equal(record.begun, ['One 1', 'Two 2', 'One 3'])
  record.open()
  await haveEnded(record, 8)
  assert.is(record.most, 3)
  await isAllDone(database)
})

test('is the queue of its jobs wherever they are shown', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const seen: (string | null)[] = []
  const Ask = defineTask({
    name: 'Ask',
    run: (_: object, { job }) => {
      seen.push(job.queue)
    }
  })
  const held = defineTask({ name: 'Held', run: record.hold('Held') })
  const job = await background.schedule({ task: Ask, queue: crm })
  for (let n = 0; n < 5; n++) await background.schedule({ task: held, payload: { n }, queue: crm })
  assert.is(job.queue, 'crm')
  assert.is((await background.jobs({ task: 'Ask' })).jobs[0]?.queue, 'crm')
  await work(database, { tasks: { Ask, Held: held }, ...POLL })
  await areRunning(record, 3)
  assert.equal(seen, ['crm'])
  await until(async () => (await background.runs({ queue: 'crm' })).runs.length === 1)
  assert.is((await background.jobs({ queue: 'crm' })).jobs.length, 5)
  await until(async () => (await background.status()).queues[0]?.running === 3)
  const status = await background.status()
  assert.equal(
    status.queues.map(({ queue, waiting, running }) => [queue, waiting, running]),
    [['crm', 2, 3]]
  )
  const [limit] = status.limits
  assert.equal(
    [limit?.kind, limit?.name, limit?.concurrency, limit?.used, limit?.waiting, limit?.perKey],
    ['queue', 'crm', 3, 3, 2, false]
  )
  const { jobs } = await background.jobs({ queue: 'crm', state: 'waiting' })
  const last = jobs.toSorted((left, right) => Number(right.id) - Number(left.id))[0]!
  const { reasons } = await background.why(last)
  const worker = status.workers[0]?.id
  assert.equal(reasons, [
    {
      code: 'limit-reached',
      message: `It waits for the limit of its queue crm: 3 of 3 in use, by ${worker}; 1 job of its queue comes before it`,
      count: 1
    }
  ])
  record.open()
  await haveEnded(record, 5)
  await isAllDone(database)
})

test('can be set for all workers', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Held = defineTask({ name: 'Held', run: record.hold('Held') })
  for (const payload of payloads(10)) await background.schedule({ task: Held, payload, queue: crm })
  await work(database, { tasks: { Held }, ...POLL })
  await areRunning(record, 3)
  const set = await background.limits.set({ queue: 'crm', concurrency: 5 })
  assert.equal([set.kind, set.name, set.concurrency, set.declaredConcurrency], ['queue', 'crm', 5, 3])
  await areRunning(record, 5)
  await background.limits.reset({ queue: crm })
  record.open()
  await haveEnded(record, 10)
  assert.is(record.most, 5)
  await isAllDone(database)
})

const CHOICES: readonly [what: string, options: WorkerOptions, isTaken: boolean][] = [
  ['takes no jobs of queues', { queues: false }, false],
  ['takes jobs of all queues but others', { queues: { except: ['one'] } }, true],
  ['takes jobs of all queues but this', { queues: { except: [crm] } }, false],
  ['takes jobs of this queue alone', { queues: [crm] }, true],
  ['takes jobs of another queue alone', { queues: ['one'] }, false]
]

for (const [what, options, isTaken] of CHOICES) {
  test(`is ${isTaken ? '' : 'not '}taken by a worker that ${what}`, async () => {
    const { database, background } = await prepare()
    const record = createRecord()
    const Held = defineTask({ name: 'Held', queue: crm, run: record.pass('Held') })
    await background.scheduleMany({ task: Held, payloads: payloads(10) })
    const once = await work(database, { tasks: { Held }, once: true, ...POLL, ...options })
    await once.finished
    assert.equal([record.begun.length, await countJobs(database)], isTaken ? [10, 0] : [0, 10])
    await noSlots(database)
  })
}

test('waits while it is paused', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Held = defineTask({ name: 'Held', queue: crm, run: record.pass('Held') })
  await background.pause({ queue: 'crm' })
  await background.scheduleMany({ task: Held, payloads: payloads(10) })
  await work(database, { tasks: { Held }, once: true, ...POLL }).then(worker => worker.finished)
  assert.is(record.begun.length, 0)
  await work(database, { tasks: { Held }, ...POLL })
  await background.resume({ queue: crm })
  await haveEnded(record, 10)
  await isAllDone(database)
})

test('lets a job begin only while fewer run than its own number', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Held = defineTask({ name: 'Held', run: record.hold('Held') })
  const one = Queue.for('crm', { concurrency: 1 })
  for (let n = 1; n <= 2; n++) await background.schedule({ task: Held, payload: { n }, queue: crm })
  for (let n = 3; n <= 4; n++) await background.schedule({ task: Held, payload: { n }, queue: one })
  await background.schedule({ task: Held, payload: { n: 5 }, queue: crm })
  await work(database, { tasks: { Held }, ...POLL })
  await areRunning(record, 3)
  assert.equal(record.begun, ['Held 1', 'Held 2', 'Held 5'])
  record.open()
  await haveEnded(record, 5)
  assert.equal(record.begun.slice(3), ['Held 3', 'Held 4'])
  await isAllDone(database)
})

test('is the same for jobs that are scheduled by name, that recur, and that are retried when they are gone', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Held = defineTask({ name: 'Held', queue: crm, run: record.hold('Held') })
  await work(database, { tasks: { Held }, ledger: { keepPayloads: true }, ...POLL })
  await registered(database)
  const first = await background.schedule({ task: Held, payload: { n: 0 } })
  await areRunning(record, 1)
  await background.cancel(first)
  record.open()
  await until(async () => (await background.runs({ job: first.id })).runs[0]?.isOver === true)
  await background.pause({ queue: crm })
  const names = await background.schedule({ task: 'Held', payload: { n: 1 }, delay: '1h' })
  await background.recurring.set('held', { task: 'Held', payload: { n: 2 }, every: '1h' })
  const recurring = await background.recurring.runNow('held')
  await background.retry(first)
  const flags = await database.sql`
    select id::text, (flags ? 'kretes:slots 3' and flags ? 'kretes:limited') as limited from graphile_worker._private_jobs
    order by id`
  assert.equal(
    flags.map(({ id, limited }) => [id, limited]),
    [
      [names.id, true],
      [recurring.id, true],
      [String(Number(recurring.id) + 1), true]
    ]
  )
})

test('has no slots from flags that somebody has made up, and holds up no other', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Held = defineTask({ name: 'Held', run: record.pass('Held') })
  for (const flag of [
    'kretes:slots 0',
    'kretes:slots x',
    'kretes:slots 99999999999',
    'kretes:slots -1',
    'kretes:slots '
  ]) {
    await database.sql`
      select graphile_worker.add_job('Held', queue_name => ${`odd ${flag}`}::text, flags => ${['kretes:limited', flag]}::text[])`
  }
  await background.schedule({ task: Held, payload: { n: 1 }, queue: crm })
  await work(database, { tasks: { Held }, ...POLL })
  await haveEnded(record, 1)
  await noSlots(database)
  assert.equal(record.begun, ['Held 1'])
})

test('goes on with the jobs of a worker that is lost', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Held = defineTask({ name: 'Held', queue: crm, run: record.pass('Held') })
  await background.scheduleMany({ task: Held, payloads: payloads(20) })
  await database.sql`insert into kretes.workers (id, host, pid, concurrency, beat_at) values ('lost', 'x', 1, 1, now() - interval '1 hour')`
  await database.sql`
    update graphile_worker._private_jobs set locked_by = 'lost', locked_at = now(), attempts = 1
    where id in (select id from graphile_worker._private_jobs order by id limit 3)`
  await database.sql`
    insert into kretes.declared_limits (name, concurrency, is_keyed) values ('queue crm', 3, false)`
  await database.sql`
    insert into kretes.leases (limit_name, part, worker, lane, slots)
    select 'queue crm', '', 'lost', id, 3 from graphile_worker._private_job_queues where queue_name = 'crm'`
  await work(database, { tasks: { Held }, ...POLL })
  await haveEnded(record, 20)
  assert.ok(record.most <= 3)
  await isAllDone(database)
})
