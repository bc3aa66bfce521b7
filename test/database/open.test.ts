import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import postgres from 'postgres'
import { createBackground } from '../../src/background.ts'
import { openDatabase } from '../../src/database/open.ts'
import { startWorker } from '../../src/worker/worker.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { startServer } from '../helpers/server.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('opening a database')
const failing = suite('a database that cannot be reached')

const SECRET = 'hunter2'

test('by connection string, DATABASE_URL and PG* reaches the same one, from schedule() and from a worker', async () => {
  const { url, name, sql } = await createDatabase({ isEmpty: true })
  const { hostname, port, username } = new URL(url)
  const label = `${hostname}:${port}/${name}`
  const ways = [
    { connection: url, env: {}, origin: 'option', label: `${username}@${label}` },
    { env: { DATABASE_URL: url }, origin: 'DATABASE_URL', label: `${username}@${label}` },
    { env: { PGHOST: hostname, PGPORT: port, PGUSER: username, PGDATABASE: name }, origin: 'PG*', label }
  ]
  for (const { connection, env, origin, label } of ways) {
    await withEnvironment(env, async () => {
      const database = await openDatabase({ connection })
      assert.equal([database.origin, database.label, database.embedded], [origin, label, undefined])
      await using background = createBackground({ connection })
      await background.schedule({ task: 'Reach', payload: { origin } })
      const reached = Promise.withResolvers<unknown>()
      const tasks = { Reach: (input: object) => reached.resolve(input) }
      await using worker = await startWorker({ connection, tasks })
      assert.equal(worker.database, { label, isEmbedded: false })
      assert.equal(await reached.promise, { origin })
    })
  }
  const [row] = await sql`select count(*)::int from graphile_worker.jobs`
  assert.is(row?.count, 0)
})

test('that is not named in production is refused, by schedule() and by the worker', async () => {
  await withEnvironment({ NODE_ENV: 'production' }, () =>
    expect(undefined, 'NO_DATABASE', () => /NODE_ENV is production/)
  )
})

failing('because nothing listens', async () => {
  const port = await unusedPort()
  await expect(
    `postgres://ada:${SECRET}@127.0.0.1:${port}/app`,
    'DATABASE_UNAVAILABLE',
    doing =>
      `Cannot ${doing}: nothing listens at ada@127.0.0.1:${port}/app (ECONNREFUSED). Is PostgreSQL running there?`
  )
})

failing('because nobody knows its host', async () => {
  await expect(
    `postgres://ada:${SECRET}@no-such-host.invalid/app`,
    'DATABASE_UNAVAILABLE',
    () => /the host of ada@no-such-host\.invalid\/app (is unknown \(ENOTFOUND\)|cannot be looked up now \(EAI_AGAIN\))$/
  )
})

failing('because it does not exist', async () => {
  const url = new URL((await createDatabase({ isEmpty: true })).url)
  url.pathname = '/missing'
  url.password = SECRET
  await expect(
    url.href,
    'DATABASE_UNAVAILABLE',
    doing => `Cannot ${doing}: there is no database ${url.username}@${url.host}/missing on that server`
  )
})

failing('because the password is wrong, or the server lets nobody in from here', async () => {
  const server = await startServer()
  onceDone(() => server.stop())
  const admin = postgres(server.url, { max: 1 })
  await admin`create role ada login password 'right'`
  await admin`create role bob login`
  const rules = ['host all postgres 127.0.0.1/32 trust', 'host all ada 127.0.0.1/32 scram-sha-256']
  await writeFile(join(server.data, 'pg_hba.conf'), `${rules.join('\n')}\n`)
  await admin`select pg_reload_conf()`
  await admin.end()
  const at = `127.0.0.1:${server.port}/postgres`
  await expect(
    `postgres://ada:${SECRET}@${at}`,
    'DATABASE_UNAVAILABLE',
    doing => `Cannot ${doing}: ada@${at} refuses the user or the password`
  )
  await expect(
    `postgres://bob:${SECRET}@${at}`,
    'DATABASE_UNAVAILABLE',
    doing =>
      `Cannot ${doing}: bob@${at} does not let this user in. If it insists on TLS, add ?sslmode=require to its URL`
  )
})

failing('is tried anew by the next call', async () => {
  const { url } = await createDatabase({ isEmpty: true })
  const background = createBackground()
  await withEnvironment({ NODE_ENV: 'production' }, async () => {
    const { code } = await background.schedule({ task: 'SendEmail' }).catch(error => error)
    assert.is(code, 'NO_DATABASE')
  })
  await withEnvironment({ DATABASE_URL: url }, () => background.schedule({ task: 'SendEmail' }))
  await background.close()
})

/** Both sides must fail with this code and message, and tell nobody the password. */
async function expect(
  connection: string | undefined,
  code: string,
  message: (doing: string) => string | RegExp
): Promise<void> {
  const background = createBackground({ connection })
  const attempts: [string, () => Promise<unknown>][] = [
    ['schedule SendEmail', () => background.schedule({ task: 'SendEmail', payload: {} })],
    ['migrate the database', () => background.migrate()],
    ['start a worker', () => startWorker({ connection, tasks: { SendEmail: () => {} } })]
  ]
  for (const [doing, attempt] of attempts) {
    const error = await attempt().then(
      () => assert.unreachable(`it could ${doing}`),
      thrown => thrown
    )
    const expected = message(doing)
    if (typeof expected === 'string') assert.is(error.message, expected)
    else assert.match(error.message, expected)
    assert.is(error.code, code)
    assert.not.match(`${error.message} ${error.cause?.message}`, SECRET)
  }
  await background.close()
}

async function withEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  work: () => Promise<unknown>
): Promise<void> {
  Object.assign(process.env, env)
  try {
    await work()
  } finally {
    for (const name of Object.keys(env)) delete process.env[name]
  }
}

async function unusedPort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => listener.once('listening', resolve))
  const { port } = listener.address() as { port: number }
  await new Promise(resolve => listener.close(resolve))
  return port
}
