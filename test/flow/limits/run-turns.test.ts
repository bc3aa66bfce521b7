import { setTimeout as sleep } from 'node:timers/promises'
import { Limit } from '../../../src/limit/limit.ts'
import { peerTimings } from '../../../src/rules/timings.ts'
import { defineTask } from '../../../src/task.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { POLL, prepare, registered, stopWorkers, work } from '../prepare.ts'
import { areRunning, createRecord, haveEnded, isAllDone, payloads, perKey, type Record, workAtRest } from './slots.ts'

const test = suite('the turn of a job with limits')
test.after.each(stopWorkers)
Object.assign(peerTimings, { beatEveryMs: 200 })

for (const [where, limit, most] of [
  ['however many jobs another key has before', { concurrency: 1, per: perKey }, 4],
  ['also where all keys share a slot', [{ concurrency: 1 }, { concurrency: 1, per: perKey }], 1]
] as const) {
  test(`comes for each key, ${where}`, async () => {
    const { database, background } = await prepare()
    const record = createRecord()
    const Sync = defineTask({ name: 'Sync', limit, run: record.pass('Sync') })
    await background.scheduleMany({ task: Sync, payloads: payloads(2_000, 'large') })
    for (let key = 1; key <= 20; key++) await background.scheduleMany({ task: Sync, payloads: payloads(5, key) })
    await work(database, { tasks: { Sync }, concurrency: 4 })
    const small = (): string[] => record.begun.filter(job => !job.startsWith('Sync large'))
    await until(() => small().length === 100)
    const large = record.begun.length - 100
    assert.ok(large < 1_000, `${large} of the 2,000 had begun before the last of the others`)
    await haveEnded(record, 2_100)
    assert.ok(record.most <= most, `${record.most} jobs ran at once`)
    assert.equal([record.mostOfKey, new Set(record.begun).size], [1, 2_100])
    await isAllDone(database)
  })
}

test('comes for each key that is new while a worker is busy with the backlog of another', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Sync = defineTask({ name: 'Sync', limit: { concurrency: 1, per: perKey }, run: record.pass('Sync') })
  await background.scheduleMany({ task: Sync, payloads: payloads(3_000, 'large') })
  await work(database, { tasks: { Sync }, ...POLL })
  await until(() => record.begun.length > 100)
  for (let key = 1; key <= 5; key++) {
    const job = await background.schedule({ task: Sync, payload: { key } })
    await background.result(job)
    assert.ok(record.begun.length < 3_000, `${record.begun.length} jobs have begun`)
  }
  await haveEnded(record, 3_005)
  await isAllDone(database)
})

test('comes for each task of a worker that shares a limit', async () => {
  const { database, background } = await prepare()
  const { record, tasks } = sharing()
  await background.scheduleMany({ task: tasks.Many, payloads: payloads(2_000) })
  await background.scheduleMany({ task: tasks.Few, payloads: payloads(5) })
  await work(database, { tasks })
  await hasFew(record, 5)
  await haveEnded(record, 2_005)
  assert.is(record.most, 1)
  await isAllDone(database)
})

test('comes for the tasks of another worker as soon as the first one has no more', async () => {
  const { database, background } = await prepare()
  const { record, tasks } = sharing(createRecord())
  await work(database, { tasks, only: ['Many'], ...POLL })
  await background.schedule({ task: tasks.Many })
  await areRunning(record, 1)
  const rest = await workAtRest(database, { tasks, only: ['Few'], ...POLL })
  await background.schedule({ task: tasks.Few })
  await rest()
  assert.equal(record.begun, ['Many'])
  record.open()
  await haveEnded(record, 2)
  await isAllDone(database)
})

for (const [how, options] of [
  ['that polls', {}],
  ['that only hears', POLL]
] as const) {
  test(`comes for the tasks of another worker ${how}, while the first one has a backlog`, async () => {
    const { database, background } = await prepare()
    const { record, tasks } = sharing()
    await background.scheduleMany({ task: tasks.Many, payloads: payloads(2_000) })
    await work(database, { tasks, only: ['Many'], ...options })
    await until(() => record.begun.length > 10)
    await work(database, { tasks, only: ['Few'], ...options })
    await registered(database, 2)
    await background.scheduleMany({ task: tasks.Few, payloads: payloads(3) })
    await hasFew(record, 3)
    await haveEnded(record, 2_003)
    assert.is(record.most, 1)
    await isAllDone(database)
  })
}

/** Two tasks that share a limit of 1. The jobs of the first wait until the record is open, if there is a record. */
function sharing(held?: Record) {
  const record = held ?? createRecord()
  const limit = Limit.for('shared', { concurrency: 1 })
  const Many = defineTask({
    name: 'Many',
    limit,
    run: held ? record.hold('Many') : record.pass('Many', () => sleep(1))
  })
  const Few = defineTask({ name: 'Few', limit, run: record.pass('Few') })
  return { record, tasks: { Many, Few } }
}

/** Waits for the jobs of the task `Few`. Fails if less than half of the 2,000 others are left by then. */
async function hasFew(record: Record, count: number): Promise<void> {
  const few = (): number => record.begun.filter(job => job.startsWith('Few')).length
  await until(() => few() === count, { what: `${count} jobs of Few` })
  const many = record.begun.length - count
  assert.ok(many < 1_000, `${many} of the 2,000 had begun before the others`)
}
