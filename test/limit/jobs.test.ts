import { createBackground } from '../../src/background.ts'
import type { Job } from '../../src/job.ts'
import { Limit } from '../../src/limit/limit.ts'
import { Queue } from '../../src/queue.ts'
import { type DefinedTask, defineTask } from '../../src/task.ts'
import { areRunning, createRecord, isAllDone, type Numbered, payloads } from '../flow/limits/slots.ts'
import { hasRun, POLL, prepare, stopWorkers, work } from '../flow/prepare.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { countJobs } from '../worker/work.ts'
import { waitingJobs } from './lanes.ts'

const test = suite('a job of a task with limits')
test.after.each(stopWorkers)

function keyed(run: (payload: Numbered) => unknown = () => {}): DefinedTask<Numbered> {
  return defineTask({ name: 'Charge', limit: { concurrency: 1, per: ({ key }: Numbered) => key ?? null }, run })
}
const Charge = keyed()
const Shared = defineTask({ name: 'Shared', limit: Limit.for('shared', { concurrency: 1 }), run: () => {} })

test('has no queue for its caller and for its task, whichever call schedules it', async () => {
  const { database, background } = await prepare()
  const payload = { key: 'a' }
  const jobs: Job[] = [
    await background.schedule({ task: Charge, payload }),
    await background.schedule({ task: Charge, payload, queue: null, delay: 1 }),
    await background.schedule({ task: Shared }),
    ...(await Promise.all([1, 2].map(() => background.schedule({ task: Shared })))),
    ...(await background.scheduleMany({ task: Charge, payloads: [payload] })),
    ...(await background.scheduleMany({ task: Shared, payloads: [{}] })),
    ...(await background.scheduleMany({ task: Shared, payloads: [{}], runAt: new Date() })),
    ...(await background.scheduleMany([
      { task: Charge, payload },
      { task: Shared, key: 'key' }
    ])),
    await background.schedule({ task: Shared, key: 'key', keyMode: 'unsafeDedupe' }),
    await database.sql.begin(transaction => background.with(transaction).schedule({ task: Charge, payload }))
  ]
  assert.equal(new Set(jobs.map(({ queue }) => queue)), new Set([null]))
  const found = await Promise.all(jobs.map(({ id }) => background.job(id)))
  assert.equal(new Set(found.map(job => job?.queue)), new Set([null]))
  const seen: Job[] = []
  const note = (_: object, { job }: { job: Job }): void => void seen.push(job)
  const tasks = {
    Charge: defineTask({ ...{ name: 'Charge', limit: { concurrency: 1, per: () => 1 } }, run: note }),
    Shared: defineTask({ name: 'Shared', limit: Limit.for('shared', { concurrency: 1 }), run: note })
  }
  await work(database, { tasks, once: true }).then(worker => worker.finished)
  assert.is(seen.length, new Set(jobs.map(({ id }) => id)).size)
  assert.equal(new Set(seen.map(({ queue }) => queue)), new Set([null]))
})

test('is not in the queue that a Background has by default, by name neither', async () => {
  const { database } = await prepare()
  await using background = createBackground({ connection: database.url, defaults: { queue: Queue.for('default') } })
  await background.schedule({ task: Charge })
  await background.scheduleMany({ task: Shared, payloads: [{}] })
  const worker = await work(database, { tasks: { Charge, Shared }, ...POLL })
  await isAllDone(database)
  await worker.stop()
  const job = await background.schedule({ task: 'Charge', delay: '1h' })
  assert.is(job.queue, null)
  assert.is((await background.schedule({ task: 'Other', delay: '1h' })).queue, 'default')
})

test('is refused with a queue, by name too once a worker has registered the task', async () => {
  const { database, background } = await prepare()
  const worker = await work(database, { tasks: { Charge }, ...POLL })
  await until(async () => (await database.sql`select from kretes.definitions`).length === 1)
  await worker.stop()
  await using fresh = createBackground({ connection: database.url })
  const queue = Queue.for('one')
  const calls: readonly (() => Promise<unknown>)[] = [
    async () => background.schedule({ task: Charge, queue }),
    async () => background.scheduleMany([{ task: Charge, queue }]),
    async () => background.scheduleMany({ task: Charge, payloads: [{}], queue }),
    async () => fresh.schedule({ task: 'Charge', queue }),
    async () => fresh.scheduleMany([{ task: 'Charge', queue }]),
    async () => fresh.scheduleMany({ task: 'Charge', payloads: [{}], queue }),
    () => database.sql.begin(transaction => fresh.with(transaction).schedule({ task: 'Charge', queue }))
  ]
  for (const call of calls) {
    const error = await call().then(
      () => new Error('it was scheduled'),
      error => error
    )
    assert.instance(error, TypeError)
    assert.is(error.message, 'Cannot schedule Charge: it has limits, so it cannot have a queue')
  }
  assert.is(await countJobs(database), 0)
})

test('stays in the queue that raw SQL has put it into, where the limits do not hold', async () => {
  const { database, background } = await prepare()
  const { sql } = database
  const record = createRecord()
  await sql`
    select graphile_worker.add_job('Charge', json_build_object('n', n, 'key', 'a'), queue_name => 'queue ' || n)
    from generate_series(1, 3) n`
  await background.scheduleMany({ task: Charge, payloads: [1, 2].map(n => ({ n: n * 10, key: 'a' })) })
  await work(database, { tasks: { Charge: keyed(record.hold('Charge') as never) }, ...POLL })
  await areRunning(record, 4)
  const rows = await waitingJobs(database)
  assert.equal(
    rows.map(({ queue, key, isLimited }) => [queue, key, isLimited]),
    [...[1, 2, 3].map(n => [`queue ${n}`, null, false]), ...[1, 2].map(() => [null, 'a', true])]
  )
  record.open()
  await isAllDone(database)
  assert.equal(
    (await sql`select queue, count(*)::int from kretes.runs group by 1 order by 1`).map(({ queue, count }) => [
      queue,
      count
    ]),
    [...[1, 2, 3].map(n => [`queue ${n}`, 1]), [null, 2]]
  )
})

test('that replaces one of its job key keeps to its own limits, or to none', async () => {
  const { database, background } = await prepare()
  const without = defineTask({ name: 'Charge', run() {} })
  const lanes = async (): Promise<unknown> =>
    (await waitingJobs(database)).map(({ key, isLimited }) => [key, isLimited])
  const given = { key: 'one', delay: '1h' } as const
  const { id } = await background.schedule({ task: without, ...given })
  assert.equal(await lanes(), [[null, false]])
  await background.schedule({ task: Charge, payload: { key: 'a' }, ...given })
  assert.equal(await lanes(), [['a', true]])
  await background.schedule({ task: Charge, payload: { key: 'b' }, ...given, keyMode: 'preserveRunAt' })
  assert.equal(await lanes(), [['b', true]])
  const same = await background.schedule({ task: Charge, payload: { key: 'c' }, ...given, keyMode: 'unsafeDedupe' })
  assert.equal([same.id, same.queue, await lanes()], [id, null, [['b', true]]])
  await background.schedule({ task: without, ...given })
  assert.equal(await lanes(), [[null, false]])
  await background.schedule({ task: without, ...given, queue: Queue.for('one') })
  await background.schedule({ task: Charge, payload: { key: 'd' }, ...given })
  assert.equal(await lanes(), [['d', true]])
})

test('keeps to the limit when it is scheduled again after it was deleted', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  let isBroken = true
  const hold = record.hold('Charge')
  const Run = keyed(payload => {
    if (isBroken) throw new Error('broken')
    return hold(payload, {} as never)
  })
  const jobs = await background.scheduleMany({ task: Charge, payloads: payloads(3, 'a'), maxAttempts: 1 })
  await work(database, { tasks: { Charge: Run }, ledger: { keepPayloads: true }, ...POLL })
  await until(async () => (await background.jobs({ state: 'failed' })).jobs.length === 3)
  assert.is((await background.delete(jobs)).changed, 3)
  isBroken = false
  assert.is((await background.retry(jobs)).changed, 3)
  await areRunning(record, 1)
  await until(async () => (await waitingJobs(database)).every(({ key, isLimited }) => isLimited && key === 'a'))
  record.open()
  await isAllDone(database)
  assert.equal([record.begun.length, record.most], [3, 1])
})

test('can be rescheduled, run now, cancelled, deleted and retried, within the limit', async () => {
  const { database, background } = await prepare()
  const ran: string[] = []
  let isBroken = true
  const Run = keyed(({ n, key }) => {
    ran.push(`${key} ${n}`)
    if (n === 9 && isBroken) throw new Error('broken')
  })
  const schedule = (n: number): Promise<Job> =>
    background.schedule({ task: Charge, payload: { n, key: 'a' }, delay: '1h', maxAttempts: 1 })
  const [soon, now, cancelled, deleted, broken] = [
    await schedule(1),
    await schedule(2),
    await schedule(3),
    await schedule(4),
    await schedule(9)
  ]
  assert.is(await background.cancel(cancelled), 'removed')
  assert.is((await background.delete([deleted])).changed, 1)
  assert.is((await background.reschedule(soon, { delay: 0 })).queue, null)
  assert.is((await background.runNow([now, broken])).changed, 2)
  assert.equal(
    (await waitingJobs(database)).map(({ key, isLimited }) => [key, isLimited]),
    Array(3).fill(['a', true])
  )
  await work(database, { tasks: { Charge: Run }, ...POLL })
  await until(async () => (await background.job(broken))?.state === 'failed')
  assert.equal(ran, ['a 1', 'a 2', 'a 9'])
  isBroken = false
  assert.is((await background.retry([broken])).changed, 1)
  await hasRun(ran, 4)
  await isAllDone(database)
})
