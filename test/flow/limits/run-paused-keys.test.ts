import { Limit } from '../../../src/limit/limit.ts'
import { peerTimings } from '../../../src/rules/timings.ts'
import { defineTask } from '../../../src/task.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { createRecorder } from '../../worker/work.ts'
import { countLocked, POLL, prepare, registered, stopWorkers, work } from '../prepare.ts'
import { areRunning, createRecord, haveEnded, isAllDone, noSlots, payloads, perKey } from './slots.ts'

const test = suite('the pause of a limit or of a key')
test.after.each(stopWorkers)
Object.assign(peerTimings, { beatEveryMs: 200 })

const shop = Limit.for('shop', { concurrency: 2, per: perKey })

test('of a task holds back the jobs of the key, and no others', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Sync = defineTask({ name: 'Sync', limit: { concurrency: 1, per: perKey }, run: record.pass('Sync') })
  await background.pause({ task: Sync, key: 'a', reason: 'It moves', by: 'ada' })
  const worker = await work(database, { tasks: { Sync }, ...POLL })
  await worker.ready
  for (const key of ['a', 'b']) await background.scheduleMany({ task: Sync, payloads: payloads(5, key) })
  await haveEnded(record, 5)
  // Others that come later do not wait either.
  await background.schedule({ task: Sync, payload: { n: 6, key: 'b' } }).then(job => job.result())
  await noSlots(database)
  assert.is(await countLocked(database), 0)
  assert.equal([...new Set(record.begun.map(label => label.split(' ')[1]))], ['b'])
  const { jobs } = await background.jobs({ task: 'Sync' })
  const { reasons } = await background.why(jobs[0]!)
  assert.is(reasons[0]?.code, 'paused')
  assert.match(
    reasons[0]!.message,
    /^Its key a of the task Sync is paused since \S+Z, by ada: It moves\. Resume it: kretes background resume --task Sync --key a$/
  )
  const ended = await background.resume({ task: 'Sync', key: 'a' })
  assert.equal([ended?.kind, ended?.name, ended?.key, ended?.isKnown], ['task', 'Sync', 'a', true])
  await haveEnded(record, 11)
  await isAllDone(database)
})

for (const [what, target, isHeld] of [
  ['of a limit holds back the jobs of all its tasks', { limit: shop }, () => true],
  [
    'of a key of a limit holds back the jobs of all its tasks with the key',
    { limit: 'shop', key: 'a' },
    (key: string) => key === 'a'
  ]
] as const) {
  test(what, async () => {
    const { database, background } = await prepare()
    const record = createRecord()
    const [One, Two] = ['One', 'Two'].map(name => defineTask({ name, limit: shop, run: record.pass(name) }))
    const Free = defineTask({ name: 'Free', run: () => {} })
    const tasks = { One: One!, Two: Two!, Free }
    await background.pause(target)
    const once = (): Promise<void> => work(database, { tasks, once: true, ...POLL }).then(worker => worker.finished)
    for (const task of [One!, Two!])
      for (const key of ['a', 'b']) await background.scheduleMany({ task, payloads: payloads(3, key) })
    // One that only the workers put into the order of its key.
    await background.schedule({ task: 'One', payload: { key: 'a' } })
    const free = await background.schedule({ task: Free })
    await once()
    await free.result()
    const expected = isHeld('b') ? 0 : 6
    assert.is(record.begun.length, expected)
    await noSlots(database)
    await background.resume(target)
    await once()
    assert.is(record.begun.length, 13)
    await isAllDone(database)
  })
}

test('lets those go on that run, and gives back those that were fetched', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Sync = defineTask({ name: 'Sync', limit: shop, run: record.hold('Sync') })
  await background.scheduleMany({ task: Sync, payloads: payloads(300, 'a') })
  await work(database, { tasks: { Sync }, localQueueTtl: 100, ...POLL })
  await areRunning(record, 2)
  await background.pause({ limit: shop, key: 'a' })
  await until(async () => (await countLocked(database)) === 2)
  record.open()
  await haveEnded(record, 2)
  await noSlots(database)
  assert.is(record.begun.length, 2)
  await background.resume({ limit: shop, key: 'a' })
  await haveEnded(record, 300)
  await isAllDone(database)
})

test('of a number is that of its text, of a long key that of its short form, and an empty key is a key', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Sync = defineTask({ name: 'Sync', limit: shop, run: record.pass('Sync') })
  const long = 'x'.repeat(300)
  const pauses = [await background.pause({ task: Sync, key: 7 }), await background.pause({ task: Sync, key: long })]
  pauses.push(await background.pause({ limit: shop, key: '' }))
  assert.equal([pauses[0]?.key, pauses[2]?.key], ['7', ''])
  assert.match(pauses[1]!.key!, /^x+….{22}$/)
  for (const key of [7, '7', long, '', '8']) await background.schedule({ task: Sync, payload: { key } })
  await work(database, { tasks: { Sync }, once: true, ...POLL }).then(worker => worker.finished)
  assert.equal(record.begun, ['Sync 8'])
  for (const { kind, name, key } of await background.pauses()) {
    await background.resume(kind === 'task' ? { task: name!, key: key! } : { limit: name!, key: key! })
  }
  assert.equal(await background.pauses(), [])
  await work(database, { tasks: { Sync }, once: true, ...POLL }).then(worker => worker.finished)
  await isAllDone(database)
})

test('is refused where there are no keys, as soon as a worker has said so', async () => {
  const { database, background } = await prepare()
  const plain = Limit.for('plain', { concurrency: 2 })
  const Sync = defineTask({ name: 'Sync', limit: plain, run: () => {} })
  assert.is((await background.pause({ limit: 'plain', key: 'a' })).isKnown, false)
  await work(database, { tasks: { Sync }, ...POLL })
  await registered(database)
  for (const target of [{ limit: 'plain' }, { task: 'Sync' }, { limit: plain }, { task: Sync }]) {
    const error = await background.pause({ ...target, key: 'a' }).then(
      () => undefined,
      thrown => thrown
    )
    assert.is(error?.code, 'NO_LIMIT')
    assert.match(error.message, /^Cannot pause the key a of the (limit plain|task Sync): the (limit|task) has no keys$/)
  }
  // The code is newer than the worker.
  const keyed = defineTask({ name: 'Sync', limit: shop, run: () => {} })
  assert.is((await background.pause({ task: keyed, key: 'a' })).key, 'a')
})

test('is told by a worker that starts, if it runs one of the tasks', async () => {
  const { database, background } = await prepare()
  const [One, Two] = ['One', 'Two'].map(name =>
    defineTask({ name, limit: name === 'One' ? shop : { concurrency: 1 }, run: () => {} })
  )
  await work(database, { tasks: { One: One!, Two: Two! }, ...POLL })
  await registered(database)
  await stopWorkers()
  await background.pause({ limit: 'shop', key: 'a b', by: 'ada' })
  for (const [tasks, count] of [
    [{ One: One! }, 1],
    [{ Two: Two! }, 0]
  ] as const) {
    const logger = createRecorder()
    await work(database, { tasks, logger, ...POLL })
    // It tells of pauses between its registration and its first fetch.
    await background.schedule({ task: Object.values(tasks)[0]! }).then(job => job.result())
    await until(async () => (await countLocked(database)) === 0)
    await stopWorkers()
    const lines = logger.of('worker.paused')
    assert.is(lines.length, count)
    if (count > 0) {
      assert.match(
        lines[0]!.message,
        /^The key a b of the limit shop is paused since \S+, by ada\. Resume it: kretes background resume --limit shop --key 'a b'$/
      )
    }
  }
})
