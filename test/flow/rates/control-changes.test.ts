import { Limit } from '../../../src/limit/limit.ts'
import { defineTask } from '../../../src/task.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { areRunning, createRecord, haveEnded, isAllDone, payloads, perKey } from '../limits/slots.ts'
import { POLL, type Prepared, prepare, stopWorkers, work } from '../prepare.ts'
import { runFree } from './holds.ts'

const test = suite('a rate that is changed while workers run')
test.after.each(stopWorkers)

const Free = (): void => {}

/** How many jobs count as begun, by the list. */
async function begunOf({ background }: Prepared): Promise<number | null | undefined> {
  return (await background.limits.list())[0]?.begun
}

test('lets as many more jobs begin as it allows, and those that have begun count on', async () => {
  const prepared = await prepare()
  const { database, background } = prepared
  const record = createRecord()
  const Sync = defineTask({ name: 'Sync', limit: { rate: '2/h' }, run: record.pass('Sync') })
  for (let n = 0; n < 2; n++) await work(database, { tasks: { Sync, Free }, pollInterval: 200 })
  await background.scheduleMany({ task: Sync, payloads: payloads(20) })
  await haveEnded(record, 2)
  await runFree(background)
  for (const [rate, count] of [
    ['5/h', 5],
    ['6/day', 6],
    ['9/366d', 9]
  ] as const) {
    await background.limits.set({ task: Sync, rate })
    await haveEnded(record, count)
    await until(async () => (await begunOf(prepared)) === count)
    await runFree(background)
    assert.is(record.begun.length, count)
  }
  await background.limits.set({ task: Sync, rate: '1000/s' })
  await isAllDone(database)
  assert.is(record.begun.length, 20)
})

test('lets more jobs begin at once on workers that do not poll', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Sync = defineTask({ name: 'Sync', limit: { rate: '2/h' }, run: record.pass('Sync') })
  await work(database, { tasks: { Sync, Free }, ...POLL })
  await background.scheduleMany({ task: Sync, payloads: payloads(10) })
  await haveEnded(record, 2)
  await runFree(background)
  await background.limits.set({ task: Sync, rate: '100/h' })
  await haveEnded(record, 10)
  await isAllDone(database)
})

test('lets none begin after it is lowered, until enough count no more', async () => {
  const prepared = await prepare()
  const { database, background } = prepared
  const { sql } = database
  const record = createRecord()
  const Sync = defineTask({ name: 'Sync', limit: { rate: '10/h' }, run: record.pass('Sync') })
  await work(database, { tasks: { Sync, Free }, pollInterval: 200 })
  await background.scheduleMany({ task: Sync, payloads: payloads(4) })
  await isAllDone(database)
  await until(async () => (await sql`select from kretes.starts where worker <> ''`).length === 0)
  const lowered = await background.limits.set({ task: Sync, rate: '3/h' })
  assert.equal([lowered.rate, lowered.begun], ['3/h', 4])
  await background.scheduleMany({ task: Sync, payloads: payloads(10) })
  await runFree(background)
  assert.is(record.begun.length, 4)
  await sql`update kretes.starts set at = at - interval '1 hour'`
  await haveEnded(record, 7)
  await until(async () => (await begunOf(prepared)) === 3)
  await runFree(background)
  assert.is(record.begun.length, 7)
})

test('holds for a limit that the code gives only a concurrency, until it is taken back', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const stripe = Limit.for('stripe', { concurrency: 3 })
  const Sync = defineTask({ name: 'Sync', limit: stripe, run: record.pass('Sync') })
  await work(database, { tasks: { Sync, Free }, pollInterval: 200 })
  await background.result(await background.schedule({ task: Sync, payload: { n: 0 } }))
  // A job that has begun without a rate does not count.
  await background.limits.set({ limit: stripe, rate: '2/h' })
  await background.scheduleMany({ task: Sync, payloads: payloads(10) })
  await haveEnded(record, 3)
  await runFree(background)
  assert.is(record.begun.length, 3)
  await background.limits.reset({ limit: stripe })
  await isAllDone(database)
  assert.is(record.begun.length, 11)
})

test('may be joined by a concurrency that the code does not give, for each key', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Sync = defineTask({ name: 'Sync', limit: { rate: '1000/h', per: perKey }, run: record.hold('Sync') })
  await work(database, { tasks: { Sync, Free }, pollInterval: 200 })
  await background.schedule({ task: Sync, payload: { n: 0, key: 'c' } })
  await areRunning(record, 1)
  await background.limits.set({ task: Sync, concurrency: 2 })
  for (const key of ['a', 'b']) await background.scheduleMany({ task: Sync, payloads: payloads(10, key) })
  await areRunning(record, 5)
  await runFree(background)
  assert.is(record.running.length, 5)
  await background.limits.reset({ task: Sync })
  await until(() => record.running.length > 5)
  record.open()
  await isAllDone(database)
})

test('counts the jobs of all keys together, and those that are over no more', async () => {
  const prepared = await prepare()
  const { database, background } = prepared
  const { sql } = database
  const record = createRecord()
  const Sync = defineTask({ name: 'Sync', limit: { rate: '2/h', per: perKey }, run: record.pass('Sync') })
  await work(database, { tasks: { Sync, Free }, ...POLL })
  for (const key of ['a', 'b', 'c']) await background.scheduleMany({ task: Sync, payloads: payloads(2, key) })
  await background.schedule({ task: Sync, payload: { n: 3, key: 'c' } })
  await haveEnded(record, 6)
  await runFree(background)
  await until(async () => (await begunOf(prepared)) === 6)
  const [limit] = await background.limits.list()
  assert.equal([limit?.waiting, limit?.used, limit?.keys, limit?.concurrency], [1, 0, 0, null])
  await sql`update kretes.starts set at = at - interval '1 hour' where part = 'a'`
  assert.is(await begunOf(prepared), 4)
})
