import { peerTimings } from '../../../src/rules/timings.ts'
import { defineTask } from '../../../src/task.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { createRecorder } from '../../worker/work.ts'
import { POLL, prepare, stopWorkers, work } from '../prepare.ts'
import { createRecord, haveEnded, isAllDone, payloads, perKey } from './slots.ts'

const test = suite('the weight of a key')
test.after.each(stopWorkers)
Object.assign(peerTimings, { beatEveryMs: 200 })

test('gives it several turns in each round of the keys that wait', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Sync = defineTask({
    name: 'Sync',
    limit: { concurrency: 1, per: perKey, weight: key => (key === 'big' ? 3 : 1) },
    run: record.pass('Sync')
  })
  const keys = ['big', 'one', 'two', 'three', 'four', 'five']
  for (const key of keys) await background.scheduleMany({ task: Sync, payloads: payloads(300, key) })
  await work(database, { tasks: { Sync }, concurrency: 1, localQueueTtl: 60_000, ...POLL })
  await haveEnded(record, 1_800)
  // A turn is 50 jobs. The big key needs six: two rounds, or six without weights, of which the first may have begun anywhere.
  const begun = record.begun.map(label => label.split(' ')[1])
  const before = begun.slice(0, begun.lastIndexOf('big'))
  for (const key of keys.slice(1)) {
    const turns = before.filter(other => other === key).length / 50
    assert.ok(turns <= 3, `${key} had ${turns} turns`)
  }
  await isAllDone(database)
})

for (const [what, weight] of [
  [
    'throws',
    () => {
      throw new Error('No such plan')
    }
  ],
  ['is no whole number', () => 1.5],
  ['is nothing', () => undefined as never],
  ['is too large', () => 101],
  ['is too small', () => 0]
] as const) {
  test(`is one if it ${what}, which the log tells once`, async () => {
    const { database, background } = await prepare()
    const record = createRecord()
    const logger = createRecorder()
    const Sync = defineTask({ name: 'Sync', limit: { concurrency: 1, per: perKey, weight }, run: record.pass('Sync') })
    for (const key of ['a', 'b']) await background.scheduleMany({ task: Sync, payloads: payloads(100, key) })
    await work(database, { tasks: { Sync }, logger, ...POLL })
    await haveEnded(record, 200)
    const lines = logger.of('limit.unweighed')
    assert.is(lines.length, 1)
    assert.match(lines[0]!.message, /^Cannot weigh a key of Sync, so it has one turn like others: /)
    await isAllDone(database)
  })
}

test('is refused without keys, and unless it is a function', () => {
  const define = (limit: object): void => void defineTask({ name: 'Sync', limit: limit as never, run: () => {} })
  assert.throws(
    () => define({ concurrency: 1, weight: () => 2 }),
    /^Cannot define Sync: the limit has a weight, but no keys \(per\)$/
  )
  assert.throws(
    () => define({ concurrency: 1, per: perKey, weight: 2 }),
    /^Cannot define Sync: the limit's weight is 2, not a function$/
  )
})
