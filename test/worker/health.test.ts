import { get } from 'node:http'
import { connect } from 'node:net'
import { json } from 'node:stream/consumers'
import { connectionTimings, workerTimings } from '../../src/rules/timings.ts'
import { createProxy } from '../chaos/proxy.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { startServer } from '../helpers/server.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createRecorder, fill, type Recorder, work } from './work.ts'

const test = suite('health')
connectionTimings.tickMs = 250
workerTimings.listenEveryMs = 500

interface Answer {
  status: number
  body: Record<string, unknown>
}

test('/live and /ready tell of a worker that works', async () => {
  const database = await createDatabase()
  const logger = createRecorder()
  const gate = Promise.withResolvers<void>()
  await work(database, { tasks: { Wait: () => gate.promise }, healthPort: 0, concurrency: 3, logger })
  const port = portOf(logger)
  await until(async () => (await ask(port, '/ready')).status === 200)
  await fill(database, 'Wait', 1)
  await until(async () => (await ask(port, '/ready')).body.running === 1)
  const [worker] = await database.sql`select id from kretes.workers`
  const { status, body } = await ask(port, '/live?verbose')
  assert.is(status, 200)
  const { uptimeSeconds, lastBeatAt, ...rest } = body
  assert.equal(rest, {
    status: 'ready',
    worker: worker?.id,
    running: 1,
    concurrency: 3,
    isDatabaseAway: false,
    isListening: true,
    isBeating: true
  })
  assert.type(uptimeSeconds, 'number')
  assert.ok(Math.abs(Date.now() - Date.parse(String(lastBeatAt))) < 30_000)
  gate.resolve()
})

test('knows nothing else, and lets nobody change anything', async () => {
  const database = await createDatabase()
  const logger = createRecorder()
  await work(database, { tasks: { Wait: () => {} }, healthPort: 0, logger })
  const port = portOf(logger)
  assert.equal(await ask(port, '/'), { status: 404, body: { status: 404 } })
  assert.equal(await ask(port, '/live', 'POST'), { status: 405, body: { status: 405 } })
})

test('/ready is 503 while the database is away, /live is not', async () => {
  const server = await startServer()
  onceDone(() => server.stop())
  const logger = createRecorder()
  await work({ url: server.url } as TestDatabase, { tasks: { Wait: () => {} }, healthPort: 0, logger })
  const port = portOf(logger)
  await until(async () => (await ask(port, '/ready')).status === 200)
  await server.restart('QUIT')
  await until(() => logger.of('database.away').length === 1)
  await until(async () => (await ask(port, '/ready')).status === 200)
  await server.stop()
  await until(async () => (await ask(port, '/ready')).status === 503)
  const { status, body } = await ask(port, '/live')
  assert.equal([status, body.status, body.isDatabaseAway], [200, 'waiting', true])
})

for (const hangs of ['all connections', 'only the one that hears of jobs']) {
  test(`/ready is 200 again once connections that hung without a word are replaced: ${hangs}`, async () => {
    const database = await createDatabase()
    const proxy = await createProxy(database.url)
    const logger = createRecorder()
    let ran = 0
    const options = { tasks: { Count: () => void ran++ }, healthPort: 0, logger, pollInterval: 3_600_000 }
    await work({ url: proxy.url } as TestDatabase, options)
    const port = portOf(logger)
    await until(async () => (await ask(port, '/ready')).body.isListening)
    if (hangs === 'all connections') proxy.hang()
    else assert.is(proxy.hang(await listeningPort(database)), 1)
    await until(() => proxy.hanging() === 0, { what: 'the connections to be given up' })
    await until(async () => (await ask(port, '/ready')).status === 200)
    // There is no poll by which it could learn of this one.
    await fill(database, 'Count', 1)
    await until(() => ran === 1)
  })
}

test('/ready is 503 while the worker stops, and nobody listens afterwards', async () => {
  const database = await createDatabase()
  const logger = createRecorder()
  const gate = Promise.withResolvers<void>()
  const worker = await work(database, { tasks: { Wait: () => gate.promise }, healthPort: 0, logger })
  const port = portOf(logger)
  await fill(database, 'Wait', 1)
  await until(() => worker.running === 1)
  const stopping = worker.stop()
  const { status, body } = await ask(port, '/ready')
  assert.equal([status, body.status], [503, 'stopping'])
  assert.is((await ask(port, '/live')).status, 200)
  // Somebody who connects and says nothing does not keep it.
  const idler = connect(port, '127.0.0.1').on('error', () => {})
  onceDone(() => idler.destroy())
  gate.resolve()
  await stopping
  await ask(port, '/live').then(unexpected, error => assert.is(error.code, 'ECONNREFUSED'))
})

test('is served at one address only if asked', async () => {
  const database = await createDatabase()
  const logger = createRecorder()
  await work(database, { tasks: { Wait: () => {} }, healthPort: 0, healthHost: '127.0.0.1', logger })
  await ask(portOf(logger), '/live', 'GET', '127.0.0.2').then(unexpected, error =>
    assert.is(error.code, 'ECONNREFUSED')
  )
})

test('a port that is taken is an error that says so, and leaves nothing behind', async () => {
  const database = await createDatabase()
  const logger = createRecorder()
  await work(database, { tasks: { Wait: () => {} }, healthPort: 0, logger })
  const healthPort = portOf(logger)
  await work(database, { tasks: { Wait: () => {} }, healthPort }).then(unexpected, error => {
    assert.is(error.message, `Cannot serve health on port ${healthPort}: it is in use`)
    assert.is(error.code, 'CONFIGURATION')
  })
  assert.is((await database.sql`select from kretes.workers`).length, 1)
  await work(database, { tasks: { Wait: () => {} }, healthPort: 70_000 }).then(unexpected, error =>
    assert.instance(error, RangeError)
  )
})

function unexpected(): never {
  throw new Error('It did not fail')
}

function portOf(logger: Recorder): number {
  return Number(logger.of('worker.health')[0]?.fields.port)
}

function ask(port: number, path: string, method = 'GET', host = '127.0.0.1'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    get({ port, path, method, host, agent: false }, async response => {
      resolve({ status: response.statusCode ?? 0, body: (await json(response)) as Answer['body'] })
    }).on('error', reject)
  })
}

/** The port of the client that the server sees behind the worker's listening connection. */
async function listeningPort({ sql }: TestDatabase): Promise<number> {
  return (await until(async () => {
    const found = await sql<{ port: number }[]>`
      select client_port as port from pg_stat_activity
      where datname = current_database() and application_name = 'kretes worker' and query in ('', 'listen "kretes:cancel"')`
    return found.length === 1 && found[0]?.port
  })) as number
}
