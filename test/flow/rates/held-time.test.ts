import { Limit } from '../../../src/limit/limit.ts'
import { RateLimited } from '../../../src/limit/rate-limited.ts'
import { defineTask } from '../../../src/task.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { areRunning, createRecord, haveEnded, isAllDone, type Numbered, payloads, perKey } from '../limits/slots.ts'
import { countLocked, POLL, prepare, stopWorkers, work } from '../prepare.ts'
import { areHeld, heldUntil, holdsOf, runFree } from './holds.ts'

const test = suite('the hold of a limit')
test.after.each(stopWorkers)

const own = { rate: '1000/min' } as const

test('holds on all workers until its time, and then all jobs run', async () => {
  const { database, background } = await prepare()
  const begun: number[] = []
  let end: Date | undefined
  const Sync = defineTask({
    name: 'Sync',
    limit: own,
    run: () => {
      begun.push(Date.now())
      if (end) return
      end = new Date(Date.now() + 2_500)
      throw new RateLimited({ until: end })
    }
  })
  for (let n = 0; n < 2; n++) await work(database, { tasks: { Sync }, concurrency: 4, ...POLL })
  await background.schedule({ task: Sync, payload: {} })
  await until(async () => (await heldUntil(database)) !== undefined)
  assert.equal(await heldUntil(database), end)
  await background.scheduleMany({ task: Sync, payloads: payloads(30) })
  await until(() => begun.length === 32)
  // Clocks of the same machine, read in milliseconds.
  for (const ms of begun.slice(1)) assert.ok(ms >= end!.getTime() - 2, `${ms - end!.getTime()} ms after the hold`)
  await isAllDone(database)
})

test('never becomes shorter, and may become longer', async () => {
  const { database, background } = await prepare()
  const gates = [1, 2, 3, 4].map(() => Promise.withResolvers<void>())
  const lengths = ['10m', 0, '1h', { until: new Date(0) }] as const
  const record = createRecord()
  const Sync = defineTask({
    name: 'Sync',
    limit: own,
    run: record.pass('Sync', async ({ n }) => {
      await gates[n! - 1]?.promise
      if (n! <= 4) throw new RateLimited(lengths[n! - 1]!)
    })
  })
  await work(database, { tasks: { Sync, Free: () => {} }, ...POLL })
  await background.scheduleMany({ task: Sync, payloads: payloads(4) })
  await areRunning(record, 4)
  const ends: number[] = []
  for (const [index, gate] of gates.entries()) {
    gate.resolve()
    await until(async () => (await countLocked(database)) === 3 - index)
    ends.push((await heldUntil(database))!.getTime())
  }
  assert.equal([ends[1], ends[3]], [ends[0], ends[2]])
  const extendedMs = ends[2]! - ends[1]!
  assert.ok(extendedMs >= 50 * 60_000 && extendedMs < 55 * 60_000, `${extendedMs} ms`)
  await runFree(background)
  assert.is(record.begun.length, 4)
})

test('holds for other workers and over the end of the one that holds', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Sync = defineTask({
    name: 'Sync',
    limit: { rate: '1000/min', per: perKey },
    run: record.pass('Sync', ({ n }) => {
      if (n === 1) throw new RateLimited('1h')
    })
  })
  const first = await work(database, { tasks: { Sync }, ...POLL })
  const job = await background.schedule({ task: Sync, payload: { n: 1, key: 'a' } })
  await areHeld(database)
  await first.stop()
  assert.equal(await holdsOf(database), [['key Sync', 'a']])
  await background.scheduleMany({ task: Sync, payloads: [2, 3].map(n => ({ n, key: 'a' })) })
  const other = await background.schedule({ task: Sync, payload: { n: 4, key: 'b' } })
  await work(database, { tasks: { Sync, Free: () => {} }, ...POLL })
  await background.result(other)
  await runFree(background)
  assert.equal(record.begun, ['Sync a 1', 'Sync b 4'])
  assert.is((await background.job(job))?.state, 'waiting')
})

test('is written also if its worker stops at the same time', async () => {
  const { database, background } = await prepare()
  const gate = Promise.withResolvers<void>()
  const record = createRecord()
  const Sync = defineTask({
    name: 'Sync',
    limit: own,
    run: record.pass('Sync', async () => {
      await gate.promise
      throw new RateLimited('1h')
    })
  })
  const worker = await work(database, { tasks: { Sync }, ...POLL })
  await background.schedule({ task: Sync, payload: { n: 1 } })
  await areRunning(record, 1)
  const stopped = worker.stop()
  gate.resolve()
  await stopped
  assert.equal(await holdsOf(database), [['task Sync', '']])
  const [job] = await database.sql`select attempts, locked_by from graphile_worker._private_jobs`
  assert.equal([job?.attempts, job?.locked_by], [0, null])
})

test('is asked for by many jobs at once, and is one row for each limit and key', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const gate = Promise.withResolvers<void>()
  const Sync = defineTask({
    name: 'Sync',
    limit: [{ rate: '1000/min', per: perKey }, Limit.for('stripe', own), Limit.for('smtp', own)],
    run: record.pass('Sync', async ({ n }) => {
      await gate.promise
      throw new RateLimited('1h', n! % 3 === 0 ? {} : { limit: n! % 3 === 1 ? 'stripe' : 'smtp' })
    })
  })
  await work(database, { tasks: { Sync }, concurrency: 50, ...POLL })
  for (const key of ['a', 'b']) await background.scheduleMany({ task: Sync, payloads: payloads(20, key) })
  await areRunning(record, 40)
  gate.resolve()
  await until(async () => (await countLocked(database)) === 0)
  assert.equal(await holdsOf(database), [
    ['key Sync', 'a'],
    ['key Sync', 'b'],
    ['limit smtp', ''],
    ['limit stripe', '']
  ])
})

/** Jobs that are held for an hour, of which those with the number 1 have asked for that. */
const holding = (record: ReturnType<typeof createRecord>) =>
  defineTask({
    name: 'Sync',
    limit: { concurrency: 5, per: perKey },
    run: record.pass('Sync', ({ n, key }: Numbered) => {
      if (n === 1 && record.begun.filter(one => one === `Sync ${key} 1`).length === 1) throw new RateLimited('1h')
    })
  })

test('ends by reset(), for all keys, and not by set()', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Sync = holding(record)
  await work(database, { tasks: { Sync, Free: () => {} }, pollInterval: 200 })
  for (const key of ['a', 'b']) await background.schedule({ task: Sync, payload: { n: 1, key } })
  await areHeld(database, 2)
  for (const key of ['a', 'b']) await background.schedule({ task: Sync, payload: { n: 2, key } })
  const [limit] = await background.limits.list()
  const latest = await database.sql`select max(until) as until from kretes.holds`
  assert.equal(limit?.heldUntil, latest[0]?.until)
  const set = await background.limits.set({ task: Sync, concurrency: 4 })
  assert.equal(set.heldUntil, limit?.heldUntil)
  await runFree(background)
  assert.is(record.begun.length, 2)
  const reset = await background.limits.reset({ task: Sync })
  assert.equal([reset.heldUntil, reset.concurrency, reset.setAt], [null, 5, null])
  await isAllDone(database)
  assert.equal(record.begun.slice(2).toSorted(), ['Sync a 1', 'Sync a 2', 'Sync b 1', 'Sync b 2'])
})

test('ends by reset() at once for workers that do not poll', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Sync = holding(record)
  await work(database, { tasks: { Sync, Free: () => {} }, ...POLL })
  await background.schedule({ task: Sync, payload: { n: 1, key: 'a' } })
  await areHeld(database)
  await runFree(background)
  await background.limits.reset({ task: Sync })
  await haveEnded(record, 2)
  await isAllDone(database)
})

test('ends by reset() also for a worker that still runs a job of the limit', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const gate = Promise.withResolvers<void>()
  let isFirst = true
  const Sync = defineTask({
    name: 'Sync',
    limit: { concurrency: 2 },
    run: record.pass('Sync', async ({ n }) => {
      if (n === 1) return await gate.promise
      if (!isFirst) return
      isFirst = false
      throw new RateLimited('1h')
    })
  })
  await work(database, { tasks: { Sync, Free: () => {} }, pollInterval: 200 })
  await background.schedule({ task: Sync, payload: { n: 1 } })
  await areRunning(record, 1)
  await background.schedule({ task: Sync, payload: { n: 2 } })
  await areHeld(database)
  await runFree(background)
  await background.limits.reset({ task: Sync })
  await until(() => record.begun.length === 3)
  assert.equal(record.begun, ['Sync 1', 'Sync 2', 'Sync 2'])
  gate.resolve()
  await isAllDone(database)
})

test('that is over is forgotten, and shown no more', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Sync = holding(record)
  await work(database, { tasks: { Sync }, pollInterval: 200 })
  const job = await background.schedule({ task: Sync, payload: { n: 1, key: 'a' } })
  await areHeld(database)
  await database.sql`update kretes.holds set until = now() - interval '1 second'`
  await background.result(job)
  assert.is((await background.limits.list())[0]?.heldUntil, null)
  const waiting = await background.schedule({ task: Sync, payload: { n: 2, key: 'a' }, delay: '1h' })
  assert.equal(
    (await background.why(waiting)).reasons.map(({ code }) => code),
    ['scheduled']
  )
})
