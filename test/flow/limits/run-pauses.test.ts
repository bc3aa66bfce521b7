import { peerTimings } from '../../../src/rules/timings.ts'
import { defineTask } from '../../../src/task.ts'
import type { WorkerOptions } from '../../../src/worker/options.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { countJobs } from '../../worker/work.ts'
import { countLocked, POLL, prepare, stopWorkers, work } from '../prepare.ts'
import { areRunning, createRecord, haveEnded, isAllDone, noSlots, payloads, perKey } from './slots.ts'

const test = suite('jobs with limits')
test.after.each(stopWorkers)
Object.assign(peerTimings, { beatEveryMs: 200 })

for (const target of [{ task: 'Held' }, { all: true }] as const) {
  test(`do not begin while ${JSON.stringify(target)} is paused, and hold no slots`, async () => {
    const { database, background } = await prepare()
    const record = createRecord()
    const free = createRecord()
    const Held = defineTask({ name: 'Held', limit: { concurrency: 2, per: perKey }, run: record.pass('Held') })
    await background.pause(target)
    const first = await work(database, { tasks: { Held, Free: free.pass('Free') }, ...POLL })
    await background.scheduleMany({ task: Held, payloads: payloads(20, 'a') })
    await background.schedule({ task: 'Free' })
    if ('task' in target) await haveEnded(free, 1)
    // Each start is a fetch.
    await first.stop()
    await work(database, { tasks: { Held, Free: free.pass('Free') }, once: true, ...POLL }).then(one => one.finished)
    assert.equal([record.begun, await countLocked(database)], [[], 0])
    await noSlots(database)
    await work(database, { tasks: { Held, Free: free.pass('Free') }, ...POLL })
    await background.resume(target)
    await haveEnded(record, 20)
    assert.is(record.most, 2)
    await isAllDone(database)
  })
}

test('go on with those that run when their task is paused, and the others are given back', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Held = defineTask({ name: 'Held', limit: { concurrency: 2 }, run: record.hold('Held') })
  const Free = defineTask({ name: 'Free', run: () => {} })
  await work(database, { tasks: { Held, Free }, localQueueTtl: 100, ...POLL })
  await background.scheduleMany({ task: Held, payloads: payloads(300) })
  await areRunning(record, 2)
  await background.pause({ task: Held })
  await until(async () => (await countLocked(database)) === 2)
  record.open()
  await haveEnded(record, 2)
  await noSlots(database)
  await background.result(await background.schedule({ task: Free }))
  assert.is(record.begun.length, 2)
  await background.resume({ task: Held })
  await haveEnded(record, 300)
  await isAllDone(database)
})

test('of a newer version wait for its worker, and others of their key go on', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const taskOf = (version: number) =>
    defineTask({
      name: 'Mail',
      version,
      limit: { concurrency: 1, per: perKey },
      run: record.pass(`Mail by version ${version}`)
    })
  await background.schedule({ task: taskOf(2), payload: { n: 1, key: 'a' } })
  for (const n of [2, 3]) await background.schedule({ task: taskOf(1), payload: { n, key: 'a' } })
  const newer = await background.schedule({ task: taskOf(2), payload: { n: 4, key: 'b' } })
  await work(database, { tasks: { Mail: taskOf(1) }, ...POLL })
  await haveEnded(record, 2)
  await until(async () => (await countJobs(database)) === 2)
  await noSlots(database)
  assert.equal(record.begun, ['Mail by version 1 a 2', 'Mail by version 1 a 3'])
  await work(database, { tasks: { Mail: taskOf(2) }, ...POLL })
  await background.result(newer)
  await haveEnded(record, 4)
  assert.equal(record.begun.slice(2).toSorted(), ['Mail by version 2 a 1', 'Mail by version 2 b 4'])
  await isAllDone(database)
})

const CHOICES: readonly [what: string, options: WorkerOptions, isTaken: boolean][] = [
  ['takes no jobs of queues', { queues: false }, true],
  ['takes jobs of all queues but some', { queues: { except: ['one'] } }, true],
  ['takes jobs of some queues alone', { queues: ['one'] }, false],
  ['runs only their task', { only: ['Held'] }, true],
  ['runs all tasks but another', { except: ['Free'] }, true],
  ['runs only another task', { only: ['Free'] }, false],
  ['runs all tasks but theirs', { except: ['Held'] }, false]
]

for (const [what, options, isTaken] of CHOICES) {
  test(`are ${isTaken ? '' : 'not '}run by a worker that ${what}, which ends when it has no more to do`, async () => {
    const { database, background } = await prepare()
    const record = createRecord()
    const limit = [{ concurrency: 3 }, { concurrency: 1, per: perKey }]
    const Held = defineTask({ name: 'Held', limit, run: record.pass('Held') })
    const tasks = { Held, Free: () => {} }
    for (const key of ['a', 'b']) await background.scheduleMany({ task: Held, payloads: payloads(10, key) })
    // One that only the workers put into the order of its key.
    await background.schedule({ task: 'Held', payload: { key: 'c' } })
    const once = await work(database, { tasks, once: true, ...POLL, ...options })
    await once.finished
    assert.equal([record.begun.length, await countJobs(database)], isTaken ? [21, 0] : [0, 21])
    await noSlots(database)
    if (!isTaken) await work(database, { tasks, once: true, ...POLL }).then(worker => worker.finished)
    assert.equal([record.begun.length, record.mostOfKey], [21, 1])
    await isAllDone(database)
  })
}

test('let a worker that runs once end after the last of them, whatever slots they wait for', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const limit = [{ concurrency: 2 }, { concurrency: 1, per: perKey }]
  const Held = defineTask({
    name: 'Held',
    limit,
    backoff: [1],
    maxAttempts: 2,
    run: record.pass('Held', ({ n }, { attempt }) => {
      if (n === 1 && attempt === 1) throw new Error('It broke')
    })
  })
  for (const key of ['a', 'b', 'c', 'd']) await background.scheduleMany({ task: Held, payloads: payloads(30, key) })
  const workers = [1, 2].map(() => work(database, { tasks: { Held }, once: true }))
  for (const worker of await Promise.all(workers)) await worker.finished
  // A retry that comes due later is for the next worker.
  await work(database, { tasks: { Held }, once: true }).then(worker => worker.finished)
  await isAllDone(database)
  assert.equal([record.begun.length, record.most, record.mostOfKey], [124, 2, 1])
})
