import { setTimeout as sleep } from 'node:timers/promises'
import { Limit } from '../../../src/limit/limit.ts'
import { defineTask } from '../../../src/task.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { isAllDone, payloads, perKey } from '../limits/slots.ts'
import { prepare, stopWorkers, work } from '../prepare.ts'
import { createTimes, haveBegun, keepsRate } from './rate-times.ts'

const test = suite('the rate of two workers')
test.after.each(stopWorkers)

test('is kept in any second, and all jobs run', async () => {
  const { database, background } = await prepare()
  const times = createTimes()
  const Timed = defineTask({ name: 'Timed', limit: { rate: '20/s' }, run: times.note('Timed') })
  await background.scheduleMany({ task: Timed, payloads: payloads(90) })
  for (let n = 0; n < 2; n++) await work(database, { tasks: { Timed } })
  await haveBegun(() => times.starts, 90)
  await isAllDone(database)
  keepsRate(times.starts, 20)
  assert.is(new Set(times.starts.map(({ n }) => n)).size, 90)
})

test('is kept by jobs that are scheduled one after another', async () => {
  const { database, background } = await prepare()
  const times = createTimes()
  const Timed = defineTask({ name: 'Timed', limit: { rate: '10/s' }, run: times.note('Timed') })
  for (let n = 0; n < 2; n++) await work(database, { tasks: { Timed } })
  for (const payload of payloads(35)) {
    await background.schedule({ task: Timed, payload })
    await sleep(10)
  }
  await haveBegun(() => times.starts, 35)
  await isAllDone(database)
  keepsRate(times.starts, 10)
  assert.is(times.starts.length, 35)
})

test('is kept by many short jobs, which are counted by hundredths of the period', async () => {
  const { database, background } = await prepare()
  const times = createTimes()
  const Timed = defineTask({ name: 'Timed', limit: { rate: '400/2s' }, run: times.note('Timed') })
  await background.scheduleMany({ task: Timed, payloads: payloads(1_300) })
  for (let n = 0; n < 2; n++) await work(database, { tasks: { Timed }, concurrency: 20 })
  await haveBegun(() => times.starts, 1_300)
  await isAllDone(database)
  keepsRate(times.starts, 400, 2_000)
  assert.is(new Set(times.starts.map(({ n }) => n)).size, 1_300)
})

test('is kept with a backlog of 300 jobs and a low rate', async () => {
  const { database, background } = await prepare()
  const times = createTimes()
  const Timed = defineTask({ name: 'Timed', limit: { rate: '60/s' }, run: times.note('Timed', () => sleep(5)) })
  await background.scheduleMany({ task: Timed, payloads: payloads(300) })
  for (let n = 0; n < 2; n++) await work(database, { tasks: { Timed }, concurrency: 4 })
  await haveBegun(() => times.starts, 300)
  await isAllDone(database)
  keepsRate(times.starts, 60)
  assert.is(times.starts.length, 300)
})

test('is kept for each key', async () => {
  const { database, background } = await prepare()
  const times = createTimes()
  const Timed = defineTask({ name: 'Timed', limit: { rate: '5/s', per: perKey }, run: times.note('Timed') })
  const keys = ['a', 'b', 'c']
  for (const key of keys) await background.scheduleMany({ task: Timed, payloads: payloads(18, key) })
  for (let n = 0; n < 2; n++) await work(database, { tasks: { Timed } })
  await haveBegun(() => times.starts, 54)
  await isAllDone(database)
  for (const key of keys) {
    const starts = times.starts.filter(start => start.key === key)
    assert.is(starts.length, 18)
    keepsRate(starts, 5)
  }
})

test('is kept with a limit that two tasks share, and one that one of them has alone', async () => {
  const { database, background } = await prepare()
  const times = createTimes()
  const shared = Limit.for('shared', { rate: '10/s' })
  const Both = defineTask({ name: 'Both', limit: [shared, { rate: '4/s' }], run: times.note('Both') })
  const One = defineTask({ name: 'One', limit: shared, run: times.note('One') })
  await background.scheduleMany({ task: Both, payloads: payloads(14) })
  await background.scheduleMany({ task: One, payloads: payloads(30) })
  for (let n = 0; n < 2; n++) await work(database, { tasks: { Both, One } })
  await haveBegun(() => times.starts, 44)
  await isAllDone(database)
  keepsRate(times.starts, 10)
  keepsRate(
    times.starts.filter(({ task }) => task === 'Both'),
    4
  )
  assert.is(times.starts.length, 44)
})

test('is kept for all keys together, and for each of them', async () => {
  const { database, background } = await prepare()
  const times = createTimes()
  const Timed = defineTask({
    name: 'Timed',
    limit: [{ rate: '12/s' }, { rate: '4/s', per: perKey }],
    run: times.note('Timed')
  })
  const keys = ['a', 'b', 'c', 'd', 'e']
  for (const key of keys) await background.scheduleMany({ task: Timed, payloads: payloads(10, key) })
  for (let n = 0; n < 2; n++) await work(database, { tasks: { Timed } })
  await haveBegun(() => times.starts, 50)
  await isAllDone(database)
  keepsRate(times.starts, 12)
  for (const key of keys) {
    const starts = times.starts.filter(start => start.key === key)
    assert.is(starts.length, 10)
    keepsRate(starts, 4)
  }
})

test('is kept beside a concurrency, which is kept as well', async () => {
  const { database, background } = await prepare()
  const times = createTimes()
  const Timed = defineTask({
    name: 'Timed',
    limit: { rate: '20/s', concurrency: 2 },
    run: times.note('Timed', () => sleep(20))
  })
  await background.scheduleMany({ task: Timed, payloads: payloads(70) })
  for (let n = 0; n < 2; n++) await work(database, { tasks: { Timed } })
  await haveBegun(() => times.starts, 70)
  await isAllDone(database)
  keepsRate(times.starts, 20)
  assert.is(times.most, 2)
  assert.is(times.starts.length, 70)
})
