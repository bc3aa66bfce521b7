import { claimingTimings } from '../../../src/rules/timings.ts'
import { defineTask } from '../../../src/task.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { areRunning, createRecord, haveEnded, isAllDone, payloads } from '../limits/slots.ts'
import { countLocked, POLL, type Prepared, prepare, stopWorkers, work } from '../prepare.ts'
import { areRecorded, countStarts } from './rate-times.ts'

const test = suite('a job with a rate that may not begin any more')
const { beginWithinMs } = claimingTimings
test.after.each(async () => {
  claimingTimings.beginWithinMs = beginWithinMs
  await stopWorkers()
})

/** Counts how often jobs are given back. */
async function countGivenBack({ database: { sql } }: Prepared): Promise<() => Promise<number>> {
  await sql`create table given_back (id bigint)`
  await sql`
    create function note_given_back() returns trigger language plpgsql as
    'begin insert into given_back values (new.id); return new; end'`
  await sql`
    create trigger note_given_back after update on graphile_worker._private_jobs for each row
    when (old.locked_by is not null and new.locked_by is null) execute function note_given_back()`
  return async () => (await sql`select from given_back`).length
}

for (const [what, limit] of [
  ['begins later', { rate: '40/h' }],
  ['begins later beside a concurrency', { rate: '40/h', concurrency: 1 }]
] as const) {
  test(`is given back and ${what}, in its place and with its first attempt`, async () => {
    const prepared = await prepare()
    const { database, background } = prepared
    const record = createRecord()
    const attempts: number[] = []
    const Late = defineTask({
      name: 'Late',
      limit,
      run: record.pass('Late', (_, { attempt }) => void attempts.push(attempt))
    })
    const givenBack = await countGivenBack(prepared)
    // None may begin.
    claimingTimings.beginWithinMs = -1
    await background.scheduleMany({ task: Late, payloads: payloads(10) })
    await work(database, { tasks: { Late }, concurrency: 1 })
    await until(async () => (await givenBack()) >= 20)
    assert.equal(record.begun, [])
    claimingTimings.beginWithinMs = beginWithinMs
    await haveEnded(record, 10)
    await isAllDone(database)
    await areRecorded(database)
    assert.equal(
      record.begun,
      payloads(10).map(({ n }) => `Late ${n}`)
    )
    assert.equal(attempts, Array(10).fill(1))
    assert.equal(await countStarts(database), { 'task Late': 10 })
  })
}

test('is given back because the job before it has blocked its worker, and begins in its place', async () => {
  const prepared = await prepare()
  const { database, background } = prepared
  const record = createRecord()
  const attempts: number[] = []
  const Blocking = defineTask({
    name: 'Blocking',
    limit: { rate: '40/h', concurrency: 1 },
    run: record.pass('Blocking', ({ n }, { attempt }) => {
      attempts.push(attempt)
      const endMs = performance.now() + 150
      while (n === 1 && performance.now() < endMs);
    })
  })
  const givenBack = await countGivenBack(prepared)
  claimingTimings.beginWithinMs = 100
  await background.scheduleMany({ task: Blocking, payloads: payloads(6) })
  await work(database, { tasks: { Blocking }, localQueueTtl: '1h' })
  await haveEnded(record, 6)
  await isAllDone(database)
  await areRecorded(database)
  assert.ok((await givenBack()) > 0, 'no job was given back')
  assert.equal(
    record.begun,
    payloads(6).map(({ n }) => `Blocking ${n}`)
  )
  assert.equal(attempts, Array(6).fill(1))
  assert.equal(await countStarts(database), { 'task Blocking': 6 })
})

test('leaves the right to begin to a job of another worker', async () => {
  const { database, background } = await prepare()
  const [record, other] = [createRecord(), createRecord()]
  const limit = { rate: '3/h' } as const
  const Held = defineTask({ name: 'Held', limit, run: record.hold('Held') })
  await background.scheduleMany({ task: Held, payloads: payloads(3) })
  await work(database, { tasks: { Held }, concurrency: 1 })
  await areRunning(record, 1)
  await until(async () => (await countLocked(database)) === 1)
  await work(database, { tasks: { Held: defineTask({ name: 'Held', limit, run: other.pass('Held') }) } })
  await haveEnded(other, 2)
  assert.equal([record.begun, other.begun], [['Held 1'], ['Held 2', 'Held 3']])
})

test('begins when the one before it is over, not at the next poll', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Held = defineTask({ name: 'Held', limit: { rate: '3/h' }, run: record.hold('Held') })
  await work(database, { tasks: { Held }, concurrency: 1, ...POLL })
  await background.scheduleMany({ task: Held, payloads: payloads(3) })
  await areRunning(record, 1)
  await until(async () => (await countLocked(database)) === 1)
  await areRecorded(database)
  assert.equal(await countStarts(database), { 'task Held': 1 })
  record.open()
  await haveEnded(record, 3)
})
