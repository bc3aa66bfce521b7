import { connect, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { createBackground } from '../../../src/background.ts'
import { Limit } from '../../../src/limit/limit.ts'
import { peerTimings } from '../../../src/rules/timings.ts'
import { defineTask } from '../../../src/task.ts'
import { onceDone } from '../../helpers/cleanup.ts'
import { createDatabase } from '../../helpers/database.ts'
import { start } from '../../helpers/process.ts'
import { startServer } from '../../helpers/server.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { createRecorder } from '../../worker/work.ts'
import { countLocked, POLL, prepare, registered, stopWorkers, work } from '../prepare.ts'
import { areRunning, createRecord, haveEnded, isAllDone, type Numbered, payloads, perKey, slotsOf } from './slots.ts'

const test = suite('the slots of a worker')
test.after.each(stopWorkers)
Object.assign(peerTimings, { beatEveryMs: 200, staleAfterMs: 1_000, returnMs: 2_000, lostFetchAgainMs: 300 })

const script = fileURLToPath(new URL('../../fixtures/run-held.ts', import.meta.url))

for (const [what, limit] of [
  ['of its task', { concurrency: 3 }],
  ['that tasks share', Limit.for('shared', { concurrency: 3 })]
] as const) {
  test(`that is killed are used by another one, with a limit ${what}`, async () => {
    const { database, background } = await prepare()
    const [record, later] = [createRecord(), createRecord()]
    const logger = createRecorder()
    const Held = defineTask({
      name: 'Held',
      limit,
      run: (payload: Numbered, context) =>
        (payload.key === 'later' ? later.hold('Held') : record.pass('Held'))(payload, context)
    })
    const victim = start(process.execPath, [script, database.url, JSON.stringify(limit)])
    await registered(database)
    await background.scheduleMany({ task: Held, payloads: payloads(30) })
    for (const n of [1, 2, 3]) await victim.output(new RegExp(`began ${n}\n`))
    await work(database, { tasks: { Held, Free: () => {} }, logger, ...POLL })
    await registered(database, 2)
    await background.result(await background.schedule({ task: 'Free' }))
    assert.equal([record.begun, Object.values(await slotsOf(database))], [[], [3]])
    victim.kill('SIGKILL')
    await victim.exit
    assert.equal(Object.values(await slotsOf(database)), [3])
    await haveEnded(record, 30)
    assert.ok(record.most <= 3, `${record.most} jobs ran at once`)
    assert.is(logger.of('worker.lost').length, 1)
    await background.scheduleMany({ task: Held, payloads: payloads(4, 'later') })
    await areRunning(later, 3)
    later.open()
    await isAllDone(database)
  })
}

test('that has been declared dead belong to its new name alone', async () => {
  const { database, background } = await prepare()
  const { sql } = database
  const record = createRecord()
  const logger = createRecorder()
  const Held = defineTask({ name: 'Held', limit: { concurrency: 2 }, run: record.hold('Held') })
  await work(database, { tasks: { Held }, logger, ...POLL })
  await background.scheduleMany({ task: Held, payloads: payloads(2) })
  await areRunning(record, 2)
  // As a peer would have done that saw neither a beat nor a lock.
  await sql.begin(async transaction => {
    const [row] = await transaction`delete from kretes.workers returning id`
    await transaction`delete from kretes.leases where worker = ${row?.id}`
    await transaction`update graphile_worker._private_jobs set locked_by = null, locked_at = null, attempts = 0`
  })
  await until(() => logger.of('worker.declared-dead').length === 1)
  record.open()
  await until(async () => (await sql`select from graphile_worker._private_jobs`).length === 0)
  const others = await background.scheduleMany({ task: Held, payloads: payloads(10) })
  for (const job of others) await background.result(job)
  await isAllDone(database)
})

test('do not grow when the answer to a claim is lost, and its jobs run once', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const proxy = await createLosing(database.url, 'claim_lanes')
  const Held = defineTask({
    name: 'Held',
    limit: { concurrency: 5 },
    run: record.pass('Held', (_, { attempt }) => assert.is(attempt, 1))
  })
  proxy.lose(1)
  await work({ ...database, url: proxy.url }, { tasks: { Held } })
  await background.scheduleMany({ task: Held, payloads: payloads(20) })
  await haveEnded(record, 20)
  assert.is(proxy.lost, 1)
  await isAllDone(database)
  assert.equal([record.begun.length, record.most], [20, 5])
})

test('let as many jobs begin within a period when the answer to a claim is lost', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const proxy = await createLosing(database.url, 'claim_lanes')
  const Rated = defineTask({ name: 'Rated', limit: { rate: '8/h' }, run: record.pass('Rated') })
  proxy.lose(1)
  await work({ ...database, url: proxy.url }, { tasks: { Rated } })
  await background.scheduleMany({ task: Rated, payloads: payloads(9) })
  await haveEnded(record, 8)
  assert.is(proxy.lost, 1)
  await until(async () => (await background.limits.list())[0]?.begun === 8)
  assert.is(record.begun.length, 8)
})

test('are right after a claim whose answer is lost, while others of its jobs run', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const proxy = await createLosing(database.url, 'claim_lanes')
  const limit = [{ concurrency: 5 }, { concurrency: 2, per: perKey }]
  const Held = defineTask({ name: 'Held', limit, run: record.hold('Held') })
  await work({ ...database, url: proxy.url }, { tasks: { Held } })
  await background.scheduleMany({ task: Held, payloads: payloads(1, 'a') })
  await areRunning(record, 1)
  proxy.lose(2)
  await background.scheduleMany({ task: Held, payloads: payloads(9, 'a').slice(1) })
  await background.scheduleMany({ task: Held, payloads: payloads(9, 'b') })
  await background.scheduleMany({ task: Held, payloads: payloads(9, 'c') })
  await until(() => proxy.lost === 2)
  await areRunning(record, 5)
  assert.equal(await slotsOf(database), { 'key Held': 5, 'task Held': 5 })
  // It looks a second time for what such a claim may have locked.
  await until(async () => (await countLocked(database)) === 5)
  record.open()
  await haveEnded(record, 27)
  await isAllDone(database)
  assert.equal([record.begun.length, record.most, record.mostOfKey], [27, 5, 2])
})

test('do not keep other jobs back when claims of jobs with limits fail', async () => {
  const { database, background } = await prepare()
  const { sql } = database
  const record = createRecord()
  const Held = defineTask({ name: 'Held', limit: { concurrency: 1 }, run: record.hold('Held') })
  await work(database, { tasks: { Held, Free: () => {} } })
  await background.scheduleMany({ task: Held, payloads: payloads(3) })
  await areRunning(record, 1)
  await until(async () => (await countLocked(database)) === 1)
  await sql`alter function kretes.claim_lanes rename to mislaid`
  for (let n = 0; n < 10; n++) await background.result(await background.schedule({ task: 'Free' }))
  await sql`alter function kretes.mislaid rename to claim_lanes`
  record.open()
  await haveEnded(record, 3)
  await isAllDone(database)
})

test('are right after its connections have broken again and again', async () => {
  const { database, background } = await prepare()
  const { sql } = database
  const record = createRecord()
  const Short = defineTask({ name: 'Short', limit: { concurrency: 3 }, run: record.pass('Short') })
  const jobs = 600
  for (let n = 0; n < 2; n++) await work(database, { tasks: { Short } })
  await background.scheduleMany({ task: Short, payloads: payloads(jobs) })
  let broken = 0
  for (let round = 0; round < 5; round++) {
    const before = record.ended
    const ended = await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and application_name like 'kretes%'`
    broken += ended.length
    await until(() => record.ended > before || record.ended >= jobs)
  }
  assert.ok(broken > 8, `${broken} connections`)
  await haveEnded(record, jobs)
  assert.ok(record.most <= 3, `${record.most} jobs ran at once`)
  await isAllDone(database)
})

test('are right after the server has crashed', async () => {
  const server = await startServer({ isDurable: true })
  onceDone(() => server.stop())
  const database = await createDatabase({ on: server.url })
  const background = createBackground({ connection: database.url })
  onceDone(() => background.close())
  const record = createRecord()
  const logger = createRecorder()
  const Short = defineTask({ name: 'Short', limit: { concurrency: 3 }, run: record.pass('Short') })
  await background.scheduleMany({ task: Short, payloads: payloads(1_000) })
  await work(database, { tasks: { Short }, logger })
  await haveEnded(record, 100)
  await server.restart('QUIT')
  await until(() => logger.of('database.back').length > 0)
  await haveEnded(record, 1_000)
  assert.ok(record.most <= 3, `${record.most} jobs ran at once`)
  await isAllDone(database)
})

/** A proxy that loses answers to statements with a text, and the connections on which they come. */
async function createLosing(
  target: string,
  text: string
): Promise<{ readonly url: string; readonly lost: number; lose(count: number): void }> {
  const { hostname, port } = new URL(target)
  let [toLose, lost] = [0, 0]
  const listener = createServer(client => {
    const server = connect(Number(port), hostname)
    let isAsked = false
    client.on('data', data => {
      if (toLose > 0 && !isAsked && data.includes(text)) {
        toLose--
        isAsked = true
      }
    })
    client.pipe(server)
    server.on('data', data => {
      if (!isAsked) return client.write(data)
      lost++
      client.destroy()
      server.destroy()
    })
    server.on('end', () => client.end())
    for (const socket of [client, server]) socket.on('error', () => {})
  })
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
  onceDone(() => listener.close())
  const { port: own } = listener.address() as { port: number }
  return {
    url: Object.assign(new URL(target), { port: String(own) }).href,
    get lost() {
      return lost
    },
    lose(count) {
      toLose = count
    }
  }
}
