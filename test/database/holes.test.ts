import postgres from 'postgres'
import { createBackground } from '../../src/background.ts'
import { createPool, poolOf } from '../../src/database/connections/pool.ts'
import { executeIn, openSession } from '../../src/database/connections/session.ts'
import { connect } from '../../src/database/open.ts'
import { executeInTransaction } from '../../src/enqueue/adapters.ts'
import { type Execute, type Statement, statement } from '../../src/sql/statement.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'

const rows = suite('a statement that fails in the midst of its rows')
const calls = suite('calls whose statements fail in the midst of their rows')

const failing: Statement = { text: 'select 1 / (3 - n) from generate_series(1, 4) n', values: [] }
const one: Statement = { text: 'select 1 as one', values: [] }
const two: Statement = { text: 'select n from generate_series(1, 2) n', values: [] }
const { url } = await createDatabase()

async function holds(execute: Execute): Promise<void> {
  await execute(failing).then(
    () => assert.unreachable(),
    error => assert.is(error.code, '22012')
  )
  const result = await execute<{ n: number }>(two)
  assert.equal([...result], [{ n: 1 }, { n: 2 }])
}

const template = postgres(url, { max: 1, onnotice: () => {} })
const holders: Record<string, (work: (execute: Execute) => Promise<void>) => Promise<void>> = {
  async 'a session'(work) {
    const session = openSession(template)
    await work(session.execute).finally(session.end)
  },
  async 'a pool'(work) {
    const pool = createPool(template, 1)
    await work(pool.execute).finally(pool.end)
  },
  "a pool of the caller's": work => work(poolOf(template).execute),
  async 'a client of ours'(work) {
    const client = connect({ url }, { max: 1, name: 'test' })
    await work(executeIn(client)).finally(() => client.end())
  },
  async "a reserved connection of the caller's"(work) {
    const reserved = await template.reserve()
    await work(executeInTransaction(reserved)).finally(() => reserved.release())
  }
}

for (const [name, hold] of Object.entries(holders)) {
  rows(`leaves no hole in the next result of ${name}`, () => hold(holds))
}

rows('leaves none either if its connection was lost and the driver has made another', async () => {
  const client = connect({ url }, { max: 1, name: 'test' })
  const execute = executeIn(client)
  const ending = statement`
    select n, case n when 20000 then pg_terminate_backend(pg_backend_pid()) end from generate_series(1, 30000) n`
  await execute(ending).then(
    () => assert.unreachable(),
    () => {}
  )
  // The driver may first fail a statement that it has not sent, with the error of the lost connection.
  const result = await execute(one).catch(() => execute(one))
  assert.equal([...result], [{ one: 1 }])
  await client.end()
})

calls('are scheduled once each, while a transaction holds the key of another', async () => {
  const { url, sql } = await createDatabase()
  await using background = createBackground({ connection: `${url}?lock_timeout=50`, maxConnections: 1 })
  await background.schedule({ task: 'Keyed', key: 'held' })
  const released = Promise.withResolvers<void>()
  const holding = sql.begin(async transaction => {
    await transaction`select from graphile_worker._private_jobs where key = 'held' for update`
    await released.promise
  })
  const jobs: { id: string }[] = []
  for (let n = 0; n < 8; n++) {
    // The first leaves alone, and the others together as soon as it is back; what comes then waits for the connection.
    const [first, ...others] = ['free', 'other', 'held'].map(key =>
      background.schedule({ task: 'Keyed', key, keyMode: 'preserveRunAt' })
    )
    await first
    jobs.push(await background.schedule({ task: 'Keyless', payload: { n } }))
    await Promise.allSettled(others)
  }
  released.resolve()
  await holding
  const added = await sql<{ id: string }[]>`select id from graphile_worker.jobs where task_identifier = 'Keyless'`
  assert.equal(jobs.map(({ id }) => id).sort(), added.map(({ id }) => id).sort())
})

calls('of two apps with their keys in opposite order all succeed, and each key has one job', async () => {
  const { url, sql, name } = await createDatabase()
  await sql`alter database ${sql(name)} set deadlock_timeout = '10ms'`
  await using one = createBackground({ connection: url })
  await using other = createBackground({ connection: url })
  await one.migrate()
  const keys = Array.from({ length: 40 }, (_, n) => `key ${n}`)
  for (let round = 0; round < 3; round++) {
    const both = [...keys.map(key => [one, key] as const), ...keys.toReversed().map(key => [other, key] as const)]
    const runAt = new Date(Date.now() + 3_600_000)
    const jobs = await Promise.all(
      both.map(([app, key]) => app.schedule({ task: 'Keyed', key, keyMode: 'preserveRunAt', runAt }))
    )
    for (const [n, job] of jobs.entries()) assert.is(job.key, both[n]?.[1])
  }
  assert.is((await sql`select from graphile_worker.jobs`).length, keys.length)
  await until(async () => (await sql`select from pg_stat_activity where state = 'idle in transaction'`).length === 0)
})

calls(
  'of two apps that schedule lists of the same keys in opposite order all succeed, and each key has one job',
  async () => {
    const { url, sql, name } = await createDatabase()
    await sql`alter database ${sql(name)} set deadlock_timeout = '10ms'`
    await using one = createBackground({ connection: url })
    await using other = createBackground({ connection: url })
    await one.migrate()
    const jobs = Array.from({ length: 40 }, (_, n) => ({ task: 'Keyed', key: `key ${n}` }))
    for (let round = 0; round < 10; round++) {
      const both = await Promise.all([one.scheduleMany(jobs), other.scheduleMany(jobs.toReversed())])
      assert.equal(
        both.map(list => list.map(({ key }) => key)),
        [jobs.map(({ key }) => key), jobs.map(({ key }) => key).toReversed()]
      )
    }
    assert.is((await sql`select from graphile_worker.jobs`).length, jobs.length)
  }
)

rows('(the last of them)', () => template.end())
