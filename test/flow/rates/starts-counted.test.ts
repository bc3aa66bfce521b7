import { fileURLToPath } from 'node:url'
import { createBackground } from '../../../src/background.ts'
import { peerTimings } from '../../../src/rules/timings.ts'
import { defineTask } from '../../../src/task.ts'
import { onceDone } from '../../helpers/cleanup.ts'
import { createDatabase } from '../../helpers/database.ts'
import { start } from '../../helpers/process.ts'
import { startServer } from '../../helpers/server.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { beats, createRecorder } from '../../worker/work.ts'
import { areRunning, createRecord, haveEnded, isAllDone, payloads, perKey } from '../limits/slots.ts'
import { countLocked, type Prepared, prepare, registered, stopWorkers, work } from '../prepare.ts'
import { age, areRecorded, countStarts } from './rate-times.ts'

const test = suite('the starts that count for a rate')
test.after.each(stopWorkers)
Object.assign(peerTimings, { beatEveryMs: 200, staleAfterMs: 1_000, lostAfterMs: 600, returnMs: 1_000 })

const script = fileURLToPath(new URL('../../fixtures/run-timed.ts', import.meta.url))

/** A worker asks again so soon after time was moved. */
const SOON = { pollInterval: 100 } as const

/** Waits until the only worker could have begun more jobs. */
async function idles({ database }: Prepared): Promise<void> {
  await beats(database, 5)
  assert.is(await countLocked(database), 0)
}

test('are those of runs that fail, too', async () => {
  const prepared = await prepare()
  const { database, background } = prepared
  const record = createRecord()
  const Failing = defineTask({
    name: 'Failing',
    limit: { rate: '4/h' },
    maxAttempts: 20,
    backoff: () => 0,
    run: record.pass('Failing', () => {
      throw new Error('Refused')
    })
  })
  await work(database, { tasks: { Failing }, ...SOON })
  await background.schedule({ task: Failing })
  await haveEnded(record, 4)
  await areRecorded(database)
  await idles(prepared)
  const [job] = await database.sql`select attempts from graphile_worker._private_jobs`
  assert.is(job?.attempts, 4)
  assert.equal(await countStarts(database), { 'task Failing': 4 })
  assert.is(record.begun.length, 4)
})

test('are of the key and of all its limits', async () => {
  const prepared = await prepare()
  const { database, background } = prepared
  const record = createRecord()
  const Keyed = defineTask({
    name: 'Keyed',
    limit: [{ rate: '7/h' }, { rate: '3/h', per: perKey }],
    run: record.pass('Keyed')
  })
  await work(database, { tasks: { Keyed }, ...SOON })
  for (const key of ['a', 'b', 'c']) await background.scheduleMany({ task: Keyed, payloads: payloads(5, key) })
  await haveEnded(record, 7)
  await areRecorded(database)
  await idles(prepared)
  const { 'task Keyed': all, ...keys } = await countStarts(database)
  assert.is(all, 7)
  const counts = Object.values(keys)
  assert.is(
    counts.reduce((sum, count) => sum + count, 0),
    7
  )
  assert.ok(
    counts.every(count => count <= 3),
    `${counts} jobs of the keys have begun`
  )
  const limits = await background.limits.list()
  assert.equal(
    limits.map(({ perKey, begun }) => [perKey, begun]),
    [
      [false, 7],
      [true, 7]
    ]
  )
})

test('have the times at which jobs have begun, and stay when the worker is started again', async () => {
  const prepared = await prepare()
  const { database, background } = prepared
  const times: number[] = []
  const record = createRecord()
  const Timed = defineTask({
    name: 'Timed',
    limit: { rate: '3/h' },
    run: record.pass('Timed', () => void times.push(performance.timeOrigin + performance.now()))
  })
  const worker = await work(database, { tasks: { Timed }, ...SOON })
  await background.scheduleMany({ task: Timed, payloads: payloads(5) })
  await haveEnded(record, 3)
  await areRecorded(database)
  const rows = await database.sql<
    { at: number }[]
  >`select extract(epoch from at)::float8 * 1000 as at from kretes.starts`
  for (const { at } of rows) assert.ok(at >= Math.min(...times) - 1, `${at} is before ${times}`)
  await worker.stop()
  await work(database, { tasks: { Timed }, ...SOON })
  await registered(database)
  await idles(prepared)
  assert.is(record.begun.length, 3)
  await age(database, '1 hour')
  await haveEnded(record, 5)
  await isAllDone(database)
})

test('are still known after the server has crashed', async () => {
  const server = await startServer({ isDurable: true })
  onceDone(() => server.stop())
  const database = await createDatabase({ on: server.url })
  const background = createBackground({ connection: database.url })
  onceDone(() => background.close())
  const record = createRecord()
  const logger = createRecorder()
  const Timed = defineTask({ name: 'Timed', limit: { rate: '3/h' }, run: record.pass('Timed') })
  await background.scheduleMany({ task: Timed, payloads: payloads(5) })
  await work(database, { tasks: { Timed }, logger, ...SOON })
  await haveEnded(record, 3)
  await areRecorded(database)
  await until(async () => (await database.sql`select from graphile_worker._private_jobs`).length === 2)
  await server.restart('QUIT')
  await until(() => logger.of('database.back').length > 0)
  await idles({ database, background })
  assert.is(record.begun.length, 3)
  await age(database, '1 hour')
  await haveEnded(record, 5)
  await isAllDone(database)
})

test('are all that a killed worker has fetched, until a period later', async () => {
  const prepared = await prepare()
  const { database, background } = prepared
  const record = createRecord()
  const Timed = defineTask({ name: 'Timed', limit: { rate: '5/h' }, run: record.pass('Timed') })
  const victim = start(process.execPath, [script, database.url, JSON.stringify({ rate: '5/h' })])
  await registered(database)
  await background.scheduleMany({ task: Timed, payloads: payloads(8).map(payload => ({ ...payload, isDeadly: true })) })
  await victim.output(/^began/m)
  await victim.exit
  assert.equal(await countStarts(database), { 'task Timed': 5 })
  const logger = createRecorder()
  await work(database, { tasks: { Timed }, logger, ...SOON })
  await until(() => logger.of('worker.lost').length === 1)
  await idles(prepared)
  assert.equal(record.begun, [])
  assert.is((await background.limits.list())[0]?.begun, 5)
  await age(database, '1 hour')
  // The jobs counted until the latest time at which they could have begun.
  await haveEnded(record, 5)
  await areRecorded(database)
  await age(database, '1 hour')
  await haveEnded(record, 8)
  await isAllDone(database)
})

for (const [how, isWaiting] of [
  ['waits for its running job', true],
  ['does not wait for its running job', false]
] as const) {
  test(`are not those of jobs that a worker gives back when it stops and ${how}`, async () => {
    const { database, background } = await prepare()
    const [record, later] = [createRecord(), createRecord()]
    const limit = { rate: '6/h' } as const
    const Held = defineTask({ name: 'Held', limit, run: record.hold('Held') })
    // It takes all jobs for one slot, and does not give them back earlier.
    const worker = await work(database, { tasks: { Held }, concurrency: 1, localQueueTtl: '1h', ...SOON })
    await background.scheduleMany({ task: Held, payloads: payloads(6) })
    await areRunning(record, 1)
    const stopped = worker.stop(isWaiting ? {} : { timeout: 0 })
    if (isWaiting) record.open()
    await stopped
    assert.equal(await countStarts(database), { 'task Held': 1 })
    assert.equal(record.begun, ['Held 1'])
    await work(database, { tasks: { Held: defineTask({ name: 'Held', limit, run: later.pass('Held') }) }, ...SOON })
    await haveEnded(later, 5)
    assert.is(later.begun.length, 5)
  })
}
