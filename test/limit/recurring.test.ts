import { Limit, type Limits } from '../../src/limit/limit.ts'
import { Queue } from '../../src/queue.ts'
import { type AnyPayload, type DefinedTask, defineTask } from '../../src/task.ts'
import { createRecord, isAllDone, type Record } from '../flow/limits/slots.ts'
import { POLL, type Prepared, prepare, registered, stopWorkers, work } from '../flow/prepare.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { waitingJobs } from './lanes.ts'

const test = suite('a recurring job of a task with limits')
test.after.each(stopWorkers)

const LIMITS: readonly [what: string, limit: Limits<AnyPayload>, key: string | null][] = [
  ['a limit', { concurrency: 1 }, null],
  ['a limit for each key', { concurrency: 1, per: ({ key }) => key }, 'a'],
  ['a shared limit', Limit.for('shared', { concurrency: 1 }), null]
]

/** Sets three recurring jobs that are due, schedules a fourth job, and waits until the first has begun and others could have. */
async function runFour(
  { database, background }: Prepared,
  task: DefinedTask,
  record: Record,
  overlap: 'allow' | 'skip'
): Promise<void> {
  for (const n of [1, 2, 3])
    await background.recurring.set(`entry ${n}`, { task, payload: { n, key: 'a' }, every: '1h', overlap })
  await database.sql`update kretes.recurring set next_at = now() - interval '1 ms' where name <> 'entry 3'`
  await work(database, { tasks: { [task.name]: task, Marker: () => {} }, ...POLL })
  await registered(database)
  await background.recurring.runNow('entry 3')
  await background.schedule({ task, payload: { n: 4, key: 'a' } })
  await until(async () => record.running.length > 0 && (await waitingJobs(database)).length === 4)
  for (let n = 0; n < 3; n++) await background.schedule({ task: 'Marker' }).then(job => job.result())
}

for (const [what, limit, key] of LIMITS) {
  test(`keeps to ${what}, and neither it nor its jobs have a queue`, async () => {
    const prepared = await prepare()
    const { database, background } = prepared
    const record = createRecord()
    const Tick = defineTask({ name: 'Tick', limit, run: record.hold('Tick') as never })
    await runFour(prepared, Tick, record, 'allow')
    await until(async () => (await waitingJobs(database)).every(({ isLimited }) => isLimited))
    assert.is(record.running.length, 1)
    const waiting = await waitingJobs(database)
    assert.equal(
      waiting.map(job => job.key),
      Array(4).fill(key)
    )
    assert.equal(
      waiting.map(({ queue }) => queue),
      Array(4).fill(null)
    )
    assert.equal(
      (await background.recurring.list()).entries.map(({ queue }) => queue),
      Array(3).fill(null)
    )
    assert.equal((await background.status()).queues, [])
    record.open()
    await isAllDone(database)
    assert.equal([record.most, record.begun.length], [1, 4])
    const runs = await database.sql`select schedule, queue from kretes.runs where task = 'Tick' order by 1`
    assert.equal(
      runs.map(({ schedule, queue }) => [schedule, queue]),
      [...[1, 2, 3].map(n => [`entry ${n}`, null]), [null, null]]
    )
  })

  test(`keeps to ${what} with overlap: skip`, async () => {
    const prepared = await prepare()
    const record = createRecord()
    const Tick = defineTask({ name: 'Tick', limit, run: record.hold('Tick') as never })
    await runFour(prepared, Tick, record, 'skip')
    assert.is(record.running.length, 1)
    record.open()
    await isAllDone(prepared.database)
    assert.equal([record.most, record.begun.length], [1, 4])
  })

  test(`cannot queue its occurrences beside ${what}`, async () => {
    const { background } = await prepare()
    const Tick = defineTask({ name: 'Tick', limit, run: () => {} })
    const message = /the task has limits, so overlap cannot be "queue"/
    for (const recurrence of [{ overlap: 'queue' }, { missed: { all: 5 } }] as const) {
      const error = await background.recurring
        .set('tick', { task: Tick, every: '1h', ...recurrence } as never)
        .catch(error => error)
      assert.match(String(error), message)
    }
    const recurring = { hourly: { every: '1h', overlap: 'queue' } } as const
    assert.throws(() => defineTask({ name: 'Tick', limit, recurring, run: () => {} }), message)
    assert.equal((await background.recurring.list()).entries, [])
  })

  test(`keeps to ${what} if the code of the task declares it`, async () => {
    const { database, background } = await prepare()
    const record = createRecord()
    const recurring = Object.fromEntries(
      [1, 2, 3].map(n => [`entry ${n}`, { every: '1h', payload: { n, key: 'a' }, overlap: 'allow' as const }])
    )
    const Tick = defineTask({ name: 'Tick', limit, recurring, run: record.hold('Tick') as never })
    await work(database, { tasks: { Tick, Marker: () => {} }, ...POLL })
    await until(async () => (await background.recurring.list()).entries.length === 3)
    const { entries } = await background.recurring.list()
    for (const { name } of entries) await background.recurring.runNow(name)
    await until(async () => record.running.length > 0 && (await waitingJobs(database)).length === 3)
    for (let n = 0; n < 3; n++) await background.schedule({ task: 'Marker' }).then(job => job.result())
    assert.is(record.running.length, 1)
    assert.equal(
      entries.map(({ queue }) => queue),
      Array(3).fill(null)
    )
    record.open()
    await isAllDone(database)
    assert.is(record.most, 1)
  })
}

test('is refused with a queue', async () => {
  const { background } = await prepare()
  const queue = Queue.for('one')
  const Tick = defineTask({ name: 'Tick', limit: { concurrency: 1 }, run: () => {} })
  const error = await background.recurring.set('entry', { task: Tick, every: '1h', queue }).then(
    () => new Error('it was set'),
    error => error
  )
  assert.instance(error, TypeError)
  assert.match(error.message, /it has limits, so it cannot have a queue$/)
})

test('is refused with a queue where its task is defined', () => {
  assert.throws(
    () =>
      defineTask({
        name: 'Tick',
        limit: { concurrency: 1 },
        recurring: { entry: { every: '1h', queue: Queue.for('one') } },
        run: () => {}
      }),
    (error: unknown) => error instanceof TypeError && /queue/.test(error.message)
  )
})
