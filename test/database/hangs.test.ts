import { type AddressInfo, createServer, connect as netConnect } from 'node:net'
import { createHangDetector, type Watched } from '../../src/database/connections/hangs.ts'
import { createPool } from '../../src/database/connections/pool.ts'
import { openSession, type Session } from '../../src/database/connections/session.ts'
import { reasonOf } from '../../src/database/connections/transaction.ts'
import { codeOf } from '../../src/database/failure.ts'
import { connect } from '../../src/database/open.ts'
import { connectionTimings } from '../../src/rules/timings.ts'
import { createProxy } from '../chaos/proxy.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { awaitedLock } from '../helpers/locks.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createTransactionPooler } from '../ledger/poolers.ts'

const test = suite('a connection that hangs')
connectionTimings.tickMs = 200

const { sql, url } = await createDatabase()
const lock = { text: 'select pg_advisory_xact_lock(1)', values: [] }

test('is lost along with others that wait for its lock, and the server lets go of it', async () => {
  const proxy = await createProxy(url)
  let times = 0
  const onHung = (): void => void times++
  const pool = createPool(connect({ url: proxy.url }, { max: 1, name: 'hanging' }), 2, { onHung })
  onceDone(() => pool.end())
  const locked = Promise.withResolvers<void>()
  const hung = Promise.withResolvers<void>()
  const holding = pool.transact(async execute => {
    await execute(lock)
    locked.resolve()
    await hung.promise
    await execute({ text: 'select 1', values: [] })
  })
  await locked.promise
  const waiting = pool.execute(lock)
  await awaitedLock(sql)
  assert.is(proxy.hang(), 2)
  hung.resolve()
  const outcomes = await Promise.allSettled([holding, waiting])
  const reasons = outcomes.map(outcome => outcome.status === 'rejected' && reasonOf(outcome.reason))
  assert.equal(reasons.map(codeOf), ['ETIMEDOUT', 'ETIMEDOUT'])
  await until(() => proxy.hanging() === 0)
  assert.is(times, 2)
  await sql.unsafe(lock.text)
  await until(async () => (await sql`select from pg_stat_activity where application_name = 'hanging'`).length === 0)
})

test('is lost when it hangs in the midst of a message, though the server waits for the rest', async () => {
  let isCut = false
  const { hostname, port } = new URL(url)
  const listener = createServer(client => {
    const server = netConnect({ host: hostname, port: Number(port) })
    server.pipe(client)
    client.on('data', (chunk: Buffer) => {
      if (chunk.length < LARGE) return void server.write(chunk)
      isCut = true
      server.write(chunk.subarray(0, LARGE / 2))
      client.removeAllListeners('data').resume()
    })
    for (const socket of [client, server]) socket.on('error', () => {}).on('close', () => server.destroy())
  })
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
  onceDone(() => listener.close())
  const proxied = Object.assign(new URL(url), { host: `127.0.0.1:${(listener.address() as AddressInfo).port}` }).href
  const pool = createPool(connect({ url: proxied }, { max: 1, name: 'cut' }), 1)
  onceDone(() => pool.end())
  const sent = pool.execute({ text: 'select length($1::text)', values: ['x'.repeat(10 * LARGE)] })
  assert.is(codeOf(await sent.catch(error => error)), 'ETIMEDOUT')
  assert.ok(isCut)
  await until(async () => (await sql`select from pg_stat_activity where application_name = 'cut'`).length === 0)
})

test('is lost behind a pooler, too, where the driver does not know its backend', async () => {
  const pooler = await createTransactionPooler(url)
  const proxy = await createProxy(pooler)
  const options = { max: 1, name: 'pooled', prepare: false }
  const pool = createPool(connect({ url: proxy.url }, options), 1)
  const other = createPool(connect({ url: pooler }, options), 1)
  onceDone(() => Promise.all([pool.end(), other.end()]))
  const one = { text: 'select 1', values: [] }
  // With a third one for the look at the server, no session is served twice in a row by the same backend.
  for (const { execute } of [pool, other]) await execute(one)
  assert.is(proxy.hang(), 1)
  assert.is(codeOf(await pool.execute(one).catch(error => error)), 'ETIMEDOUT')
  await pool.execute(one)
})

test('is told from a slow statement, which is looked at now and then', async () => {
  const proxy = await createProxy(url)
  const pool = createPool(connect({ url: proxy.url }, { max: 1, name: 'test' }), 1)
  onceDone(() => pool.end())
  // 30 ticks: time for two looks.
  await pool.execute({ text: 'select pg_sleep(6)', values: [] })
  assert.ok(proxy.accepted() >= 2)
  assert.ok(proxy.accepted() <= 1 + 5)
})

test('is not lost if it answers at the last moment', async () => {
  let isAnswered = false
  let abandoned = 0
  const statement = { text: 'select 1' }
  const connection: Watched = {
    get oldest() {
      return isAnswered ? undefined : statement
    },
    backend: undefined,
    abandon: () => void abandoned++
  }
  const ended = Promise.withResolvers<void>()
  const probe = (): Session => {
    const session = openSession(connect({ url }, { max: 1, name: 'test' }))
    // Another connection finds that no backend runs the statement: the answer is on the way.
    const execute: Session['execute'] = async asked => {
      const rows = await session.execute(asked)
      isAnswered = true
      return rows as never
    }
    return { ...session, execute, end: () => session.end().then(ended.resolve) }
  }
  const detector = createHangDetector(new Set([connection]), probe)
  detector.watch()
  await ended.promise
  await detector.end()
  assert.is(abandoned, 0)
})

/** More than the driver sends for a small statement. */
const LARGE = 20_000
