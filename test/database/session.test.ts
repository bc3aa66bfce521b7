import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { mock } from 'node:test'
import postgres from 'postgres'
import { openSession } from '../../src/database/connections/session.ts'
import { begin, inTransaction } from '../../src/database/connections/transaction.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'

const test = suite('sessions of one client')
const { url, sql, name } = await createDatabase()
const one = { text: 'select 1 as one', values: [] }

test('each know that they are connected: a later one too, however long it lives', async () => {
  const template = postgres(url, { max: 1 })
  mock.timers.enable({ apis: ['setInterval'] })
  const sessions = [openSession(template), openSession(template), openSession(template)]
  try {
    for (const session of sessions) assert.equal([...(await session.execute(one))], [{ one: 1 }])
    mock.timers.tick(60_000)
    assert.equal(
      sessions.map(({ isLost }) => isLost),
      [false, false, false]
    )
    for (const session of sessions) assert.equal([...(await session.execute(one))], [{ one: 1 }])
  } finally {
    mock.timers.reset()
    await Promise.all(sessions.map(session => session.end()))
    await template.end()
  }
})

test('run their statements in the order in which they were sent, and lose all of them with the connection', async () => {
  const template = postgres(url, { max: 1 })
  const session = openSession(template)
  await session.execute(one)
  const ended: number[] = []
  await Promise.all(
    [1, 2, 3].map(number =>
      session.execute({ text: 'select pg_sleep(0.01)', values: [] }).then(() => ended.push(number))
    )
  )
  assert.equal(ended, [1, 2, 3])
  const end = { text: 'select pg_terminate_backend(pg_backend_pid())', values: [] }
  const outcomes = await Promise.allSettled([session.execute(end), session.execute(one), session.execute(one)])
  assert.equal(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected', 'rejected']
  )
  assert.is(session.isLost, true)
  await session.end()
  await template.end()
})

test('connect no more once their connection was reset, as for the end of their transaction', async () => {
  const { host, port } = postgres(url).options
  const clients: Socket[] = []
  const proxy = createServer(client => {
    const server = connect(port[0]!, host[0]).on('error', () => client.destroy())
    client
      .on('error', () => server.destroy())
      .pipe(server)
      .pipe(client)
    clients.push(client)
  })
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
  onceDone(() => proxy.close())
  const its = Object.assign(new URL(url), { host: `127.0.0.1:${(proxy.address() as AddressInfo).port}` }).href
  const template = postgres(its, { max: 1, backoff: () => 0, fetch_types: false })
  // A statement with a parameter: what comes after it waits for the answer, or else for a new connection.
  const sleep = { text: 'select pg_sleep($1::text::float8)', values: ['60'] }
  const works = [
    () => begin(template, execute => execute(sleep)),
    async () => {
      const session = openSession(template)
      return await inTransaction(session, execute => execute(sleep)).finally(session.end)
    }
  ]
  for (const work of works) {
    clients.length = 0
    const outcome = work().catch(({ cause }) => cause.code)
    await until(
      async () => (await sql`select from pg_stat_activity where datname = ${name} and wait_event = 'PgSleep'`).length
    )
    clients[0]?.resetAndDestroy()
    await sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name} and wait_event = 'PgSleep'`
    assert.match(await outcome, /^(ECONNRESET|CONNECTION_CLOSED)$/)
    // Whoever connects after them comes after what they would have sent.
    const later = postgres(its, { max: 1, fetch_types: false })
    await later`select`
    await later.end()
    assert.is(clients.length, 2)
  }
})
