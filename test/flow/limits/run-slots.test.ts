import { Limit } from '../../../src/limit/limit.ts'
import { defineTask } from '../../../src/task.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { countLocked, POLL, prepare, registered, stopWorkers, work } from '../prepare.ts'
import { areRunning, createRecord, haveEnded, isAllDone, type Numbered, payloads, perKey, slotsOf } from './slots.ts'

const test = suite('a limit')
test.after.each(stopWorkers)

for (const workers of [1, 3]) {
  test(`lets no more jobs run at once than it says, on ${workers} workers, and uses every slot`, async () => {
    const { database, background } = await prepare()
    const record = createRecord()
    const Held = defineTask({ name: 'Held', limit: { concurrency: 5 }, run: record.hold('Held') })
    const Free = defineTask({ name: 'Free', run: () => {} })
    for (let n = 0; n < workers; n++) await work(database, { tasks: { Held, Free }, ...POLL })
    await registered(database, workers)
    await background.scheduleMany({ task: Held, payloads: payloads(40) })
    await areRunning(record, 5)
    assert.equal(await slotsOf(database), { 'task Held': 5 })
    // Each worker has looked for jobs again when these have run.
    const others = await background.scheduleMany({ task: Free, payloads: payloads(workers * 20) })
    for (const job of others) await background.result(job)
    assert.is(record.running.length, 5)
    assert.is((await background.limits.list())[0]?.used, 5)
    record.open()
    await haveEnded(record, 40)
    assert.is(record.most, 5)
    await isAllDone(database)
  })
}

test('holds for many short jobs on three workers, each of which runs once', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Short = defineTask({ name: 'Short', limit: { concurrency: 4 }, run: record.pass('Short') })
  for (let n = 0; n < 3; n++) await work(database, { tasks: { Short } })
  await background.scheduleMany({ task: Short, payloads: payloads(1_500) })
  await haveEnded(record, 1_500)
  assert.is(record.most, 4)
  assert.is(new Set(record.begun).size, 1_500)
  await isAllDone(database)
  assert.is(record.begun.length, 1_500)
})

test('of 1 runs jobs one after another, on three workers', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const One = defineTask({ name: 'One', limit: { concurrency: 1 }, run: record.pass('One') })
  for (let n = 0; n < 3; n++) await work(database, { tasks: { One } })
  for (let n = 1; n <= 200; n++) await background.schedule({ task: One, payload: { n } })
  await haveEnded(record, 200)
  assert.is(record.most, 1)
  await isAllDone(database)
})

test('that tasks share counts the jobs of all of them', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const limit = Limit.for('stripe', { concurrency: 3 })
  const Charge = defineTask({ name: 'Charge', limit, run: record.pass('Charge') })
  const Refund = defineTask({ name: 'Refund', limit, run: record.pass('Refund') })
  for (let n = 0; n < 3; n++) await work(database, { tasks: { Charge, Refund } })
  await Promise.all([
    background.scheduleMany({ task: Charge, payloads: payloads(300) }),
    background.scheduleMany({ task: Refund, payloads: payloads(300) })
  ])
  await haveEnded(record, 600)
  assert.is(record.most, 3)
  await isAllDone(database)
})

test('that tasks share is used up by either of them', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const limit = Limit.for('stripe', { concurrency: 3 })
  const Charge = defineTask({ name: 'Charge', limit, run: record.hold('Charge') })
  const Refund = defineTask({ name: 'Refund', limit, run: record.hold('Refund') })
  const Free = defineTask({ name: 'Free', run: () => {} })
  await work(database, { tasks: { Charge, Refund, Free }, ...POLL })
  await background.scheduleMany({ task: Charge, payloads: payloads(2) })
  await areRunning(record, 2)
  await background.scheduleMany({ task: Refund, payloads: payloads(2) })
  await areRunning(record, 3)
  await background.result(await background.schedule({ task: Free }))
  assert.equal(record.running.toSorted(), ['Charge 1', 'Charge 2', 'Refund 1'])
  assert.equal(await slotsOf(database), { 'limit stripe': 3 })
  record.open()
  await isAllDone(database)
})

test('for each key lets the keys run beside each other, on three workers', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const limit = { concurrency: 2, per: perKey }
  const Sync = defineTask({ name: 'Sync', limit, run: record.pass('Sync') })
  for (let n = 0; n < 3; n++) await work(database, { tasks: { Sync } })
  await Promise.all(
    ['a', 'b', 'c', 'd'].map(key => background.scheduleMany({ task: Sync, payloads: payloads(150, key) }))
  )
  await haveEnded(record, 600)
  assert.is(record.mostOfKey, 2)
  assert.ok(record.most > 2, `only ${record.most} jobs have run at once`)
  await isAllDone(database)
})

test('for each key does not let a key wait for the slots of another', async () => {
  const { database, background } = await prepare()
  const held = createRecord()
  const passed = createRecord()
  const limit = { concurrency: 2, per: perKey }
  const Sync = defineTask({
    name: 'Sync',
    limit,
    run: (payload: Numbered, context) =>
      (payload.key === 'slow' ? held.hold('Sync') : passed.pass('Sync'))(payload, context)
  })
  await work(database, { tasks: { Sync }, ...POLL })
  await background.scheduleMany({ task: Sync, payloads: payloads(300, 'slow') })
  await areRunning(held, 2)
  await background.scheduleMany({ task: Sync, payloads: payloads(50, 'fast') })
  await haveEnded(passed, 50)
  assert.is(held.running.length, 2)
  held.open()
  await isAllDone(database)
  assert.is(held.most, 2)
})

test('that tasks share, for each key, counts a key of all of them', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const limit = Limit.for('shop', { concurrency: 2, per: perKey })
  const Read = defineTask({ name: 'Read', limit, run: record.hold('Read') })
  const Write = defineTask({ name: 'Write', limit, run: record.hold('Write') })
  const Free = defineTask({ name: 'Free', run: () => {} })
  await work(database, { tasks: { Read, Write, Free }, ...POLL })
  for (const key of ['a', 'b']) {
    await background.schedule({ task: Read, payload: { key } })
    await until(() => record.running.includes(`Read ${key}`))
    await background.scheduleMany({ task: Write, payloads: payloads(5, key) })
    await until(() => record.running.includes(`Write ${key} 1`))
  }
  await background.result(await background.schedule({ task: Free }))
  assert.equal(record.running, ['Read a', 'Write a 1', 'Read b', 'Write b 1'])
  assert.is((await background.limits.list())[0]?.keys, 2)
  record.open()
  await isAllDone(database)
})

for (const workers of [1, 3]) {
  test(`of a list holds beside the others: 1 for each key and 3 of all, on ${workers} workers`, async () => {
    const { database, background } = await prepare()
    const record = createRecord()
    const limit = [{ concurrency: 3 }, { concurrency: 1, per: perKey }]
    const Sync = defineTask({ name: 'Sync', limit, run: record.pass('Sync') })
    const keys = ['a', 'b', 'c', 'd', 'e']
    for (const key of keys) await background.scheduleMany({ task: Sync, payloads: payloads(60, key) })
    for (let n = 0; n < workers; n++) await work(database, { tasks: { Sync } })
    await haveEnded(record, 300)
    assert.equal([record.most, record.mostOfKey], [3, 1])
    await isAllDone(database)
  })
}

test('of a list leaves its slots to others while another one of the list is used up', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const stripe = Limit.for('stripe', { concurrency: 3 })
  const Charge = defineTask({ name: 'Charge', limit: [stripe, { concurrency: 1 }], run: record.hold('Charge') })
  const Refund = defineTask({ name: 'Refund', limit: stripe, run: record.hold('Refund') })
  await work(database, { tasks: { Charge, Refund }, ...POLL })
  await background.scheduleMany({ task: Charge, payloads: payloads(10) })
  await areRunning(record, 1)
  await background.scheduleMany({ task: Refund, payloads: payloads(10) })
  await areRunning(record, 3)
  assert.equal(record.running, ['Charge 1', 'Refund 1', 'Refund 2'])
  assert.equal(await slotsOf(database), { 'limit stripe': 3, 'task Charge': 1 })
  record.open()
  await isAllDone(database)
})

test('lets the jobs behind a long one use the other slots', async () => {
  const { database, background } = await prepare()
  const long = createRecord()
  const short = createRecord()
  const Mixed = defineTask({
    name: 'Mixed',
    limit: { concurrency: 2 },
    run: (payload: Numbered, context) => (payload.n === 1 ? long.hold('Mixed') : short.pass('Mixed'))(payload, context)
  })
  await background.scheduleMany({ task: Mixed, payloads: payloads(200) })
  // Jobs that wait in the worker are not given back.
  await work(database, { tasks: { Mixed }, localQueueTtl: '1h', ...POLL })
  await haveEnded(short, 199)
  assert.equal([long.running, short.most], [['Mixed 1'], 1])
  await until(async () => (await countLocked(database)) === 1)
  assert.equal(await slotsOf(database), { 'task Mixed': 1 })
  long.open()
  await isAllDone(database)
})

test('lets another worker use the slots that a busy one does not need', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Held = defineTask({ name: 'Held', limit: { concurrency: 4 }, run: record.hold('Held') })
  for (let n = 0; n < 2; n++) await work(database, { tasks: { Held }, concurrency: 2, ...POLL })
  await registered(database, 2)
  await background.scheduleMany({ task: Held, payloads: payloads(12) })
  await areRunning(record, 4)
  const workers = await database.sql`select worker, slots from kretes.leases where slots > 0`
  assert.equal(
    workers.map(({ slots }) => slots),
    [2, 2]
  )
  record.open()
  await isAllDone(database)
})

test('lets urgent jobs go first', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const gate = createRecord()
  const One = defineTask({
    name: 'One',
    limit: { concurrency: 1 },
    run: (payload: Numbered, context) => (payload.n === 0 ? gate.hold('One') : record.pass('One'))(payload, context)
  })
  await work(database, { tasks: { One }, ...POLL })
  await background.schedule({ task: One, payload: { n: 0 } })
  await areRunning(gate, 1)
  // More than a worker takes at once.
  await background.scheduleMany({ task: One, payloads: payloads(120) })
  for (const [n, priority] of [5, 0, -5, 3].entries()) {
    await background.schedule({ task: One, payload: { n: 1_000 + n }, priority })
  }
  gate.open()
  await haveEnded(record, 124)
  assert.equal([record.begun[0], ...record.begun.slice(-3)], ['One 1002', 'One 1001', 'One 1003', 'One 1000'])
  await isAllDone(database)
})

test('lets a worker that is nearly busy leave slots to others', async () => {
  const { database, background } = await prepare()
  const [busy, record] = [createRecord(), createRecord()]
  const Held = defineTask({ name: 'Held', limit: { concurrency: 4 }, run: record.hold('Held') })
  const tasks = { Held, Busy: busy.hold('Busy') }
  await work(database, { tasks, concurrency: 4, localQueueSize: 4, ...POLL })
  await background.scheduleMany({ task: 'Busy', payloads: payloads(3) })
  await areRunning(busy, 3)
  await background.scheduleMany({ task: Held, payloads: payloads(4) })
  await areRunning(record, 1)
  assert.equal(await slotsOf(database), { 'task Held': 1 })
  await work(database, { tasks, concurrency: 4, ...POLL })
  await areRunning(record, 4)
  busy.open()
  record.open()
  await isAllDone(database)
})
