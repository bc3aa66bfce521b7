import { PermanentError, Snooze } from '../../../src/errors.ts'
import { peerTimings } from '../../../src/rules/timings.ts'
import type { TaskContext } from '../../../src/task.ts'
import { defineTask } from '../../../src/task.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { countLocked, POLL, type Prepared, prepare, registered, stopWorkers, work } from '../prepare.ts'
import {
  areRunning,
  createRecord,
  haveEnded,
  isAllDone,
  type Numbered,
  noSlots,
  payloads,
  type Record,
  slotsOf,
  workAtRest
} from './slots.ts'

const test = suite('the slot of a job')
test.after.each(stopWorkers)
Object.assign(peerTimings, { beatEveryMs: 200 })

/** Rejects when the run is interrupted. */
const interrupted = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))

const ENDINGS: readonly [
  how: string,
  end: (context: TaskContext) => unknown,
  state: string,
  cause?: (prepared: Prepared, job: string) => unknown
][] = [
  ['succeeds', () => {}, 'gone'],
  ['fails and is tried again later', () => Promise.reject(new Error('It broke')), 'retrying'],
  ['fails for good', () => Promise.reject(new PermanentError('It broke')), 'failed'],
  ['snoozes', () => Promise.reject(new Snooze('1h')), 'scheduled'],
  ['takes too long', ({ signal }) => interrupted(signal), 'retrying'],
  ['takes too long and does not heed its signal', () => new Promise(() => {}), 'retrying'],
  [
    'is cancelled while it runs',
    ({ signal }) => interrupted(signal),
    'gone',
    ({ background }, job) => background.cancel(job)
  ]
]

for (const [how, end, state, cause] of ENDINGS) {
  test(`is free for the next job when it ${how}`, async () => {
    const prepared = await prepare()
    const { database, background } = prepared
    const record = createRecord()
    const One = defineTask({
      name: 'One',
      limit: { concurrency: 1 },
      backoff: ['1h'],
      ...(how.startsWith('takes too long') && { timeout: 300 }),
      run: (payload: Numbered, context) =>
        record.pass('One', payload.n === 1 ? (_, context) => end(context) : undefined)(payload, context)
    })
    await work(database, { tasks: { One }, ...POLL })
    const first = await background.schedule({ task: One, payload: { n: 1 } })
    await background.scheduleMany({ task: One, payloads: [{ n: 2 }, { n: 3 }] })
    await until(() => record.begun.length >= 1)
    await cause?.(prepared, first.id)
    await until(() => record.begun.length === 3)
    assert.equal(record.begun, ['One 1', 'One 2', 'One 3'])
    await noSlots(database)
    await until(async () => (await countLocked(database)) === 0)
    const rows = await database.sql`select state from kretes.jobs`
    assert.equal(
      rows.map(row => row.state),
      state === 'gone' ? [] : [state]
    )
  })
}

test('is used again by the retry of a job, which counts like any other', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Twice = defineTask({
    name: 'Twice',
    limit: { concurrency: 2 },
    backoff: [1],
    run: record.pass('Twice', (_, { attempt }) => {
      if (attempt === 1) throw new Error('It broke')
    })
  })
  for (let n = 0; n < 2; n++) await work(database, { tasks: { Twice }, ...POLL })
  await background.scheduleMany({ task: Twice, payloads: payloads(50) })
  await haveEnded(record, 100)
  assert.is(record.most, 2)
  await isAllDone(database)
})

test('is not taken by a job that is cancelled, or put off, while it waits', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const One = defineTask({ name: 'One', limit: { concurrency: 1 }, run: record.hold('One') })
  await work(database, { tasks: { One }, ...POLL })
  const [, second, third] = await background.scheduleMany({ task: One, payloads: payloads(4) })
  await areRunning(record, 1)
  // Those that wait behind the first one are given back, so that they can be changed.
  await until(async () => (await countLocked(database)) === 1)
  await background.cancel(second!)
  await background.reschedule(third!, { delay: '1h' })
  record.open()
  await haveEnded(record, 2)
  await noSlots(database)
  assert.equal(record.begun, ['One 1', 'One 4'])
})

test('is free for other workers when its job was fetched early and is given back', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const One = defineTask({ name: 'One', limit: { concurrency: 5 }, run: record.hold('One') })
  const options = { tasks: { One }, localQueueTtl: 100, ...POLL }
  await work(database, { ...options, concurrency: 1, localQueueSize: 10 })
  await background.scheduleMany({ task: One, payloads: payloads(5) })
  await areRunning(record, 1)
  await until(async () => (await countLocked(database)) === 1)
  await until(async () => (await slotsOf(database))['task One'] === 1)
  await work(database, options)
  await areRunning(record, 5)
  record.open()
  await isAllDone(database)
})

test('is used by other workers when its worker stops, which waits for its job', async () => {
  const { database, background } = await prepare()
  const [first, second] = [createRecord(), createRecord()]
  const taskOf = (record: Record) => defineTask({ name: 'One', limit: { concurrency: 1 }, run: record.hold('One') })
  const stopping = await work(database, { tasks: { One: taskOf(first) }, ...POLL })
  await background.scheduleMany({ task: taskOf(first), payloads: payloads(60) })
  await areRunning(first, 1)
  await work(database, { tasks: { One: taskOf(second) }, ...POLL })
  await registered(database, 2)
  second.open()
  const stopped = stopping.stop()
  // It has given back the jobs that have not begun.
  await until(async () => (await countLocked(database)) === 1)
  assert.equal(second.begun, [])
  first.open()
  assert.equal(await stopped, { unfinished: 0 })
  await haveEnded(second, 59)
  await isAllDone(database)
  assert.is(first.begun.length, 1)
})

test('is used by other workers when its worker stops and does not wait for its job', async () => {
  const { database, background } = await prepare()
  const [first, second] = [createRecord(), createRecord()]
  const taskOf = (record: Record) => defineTask({ name: 'One', limit: { concurrency: 2 }, run: record.hold('One') })
  const stopping = await work(database, { tasks: { One: taskOf(first) }, ...POLL })
  await background.scheduleMany({ task: taskOf(first), payloads: payloads(60) })
  await areRunning(first, 2)
  await work(database, { tasks: { One: taskOf(second) }, ...POLL })
  await registered(database, 2)
  second.open()
  assert.equal(await stopping.stop({ timeout: 0 }), { unfinished: 2 })
  await haveEnded(second, 60)
  assert.ok(second.most <= 2, `${second.most} ran at once`)
  await isAllDone(database)
})

test('is used by an idle worker, however long the other one takes to stop', async () => {
  const { database, background } = await prepare()
  const { sql } = database
  const [first, second] = [createRecord(), createRecord()]
  const taskOf = (record: Record) => defineTask({ name: 'One', limit: { concurrency: 1 }, run: record.hold('One') })
  const stopping = await work(database, { tasks: { One: taskOf(first) }, ...POLL })
  await background.scheduleMany({ task: taskOf(first), payloads: payloads(60) })
  await areRunning(first, 1)
  const rest = await workAtRest(database, { tasks: { One: taskOf(second) }, ...POLL })
  second.open()
  let stopped: Promise<unknown> | undefined
  await sql.begin(async transaction => {
    await transaction`select from kretes.leases for update`
    stopped = stopping.stop({ timeout: 0 })
    await until(async () => (await countLocked(database)) === 0)
    // The other worker has looked for jobs, in vain.
    await rest()
    assert.equal(second.begun, [])
  })
  await stopped
  await haveEnded(second, 60)
  await isAllDone(database)
})
