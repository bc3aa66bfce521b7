import { createHash } from 'node:crypto'
import { type AddressInfo, connect, createServer } from 'node:net'
import postgres, { type Sql, type TransactionSql } from 'postgres'
import { createBackground } from '../../src/background.ts'
import type { BackgroundClient } from '../../src/client.ts'
import { executeIn } from '../../src/database/connections/session.ts'
import { createViews, NEWEST_VIEWS } from '../../src/sql/ledger/views.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createTransactionPooler } from '../ledger/poolers.ts'

const loss = suite('a migration whose connection is lost')
const views = suite('the views')
const locks = suite('a migration')

/** What of it waits for whom. */
const places: Record<
  string,
  { prepare: (sql: Sql) => Promise<unknown>; hold: (transaction: TransactionSql) => Promise<unknown> }
> = {
  'for its turn': {
    prepare: sql => sql`drop schema kretes cascade`,
    hold: lockAdvisory
  },
  'in a step of the engine': {
    prepare: sql =>
      sql`delete from graphile_worker.migrations where id = (select max(id) from graphile_worker.migrations)`,
    hold: transaction => transaction`lock table graphile_worker.migrations in share mode`
  },
  'in a step of ours': {
    prepare: sql => sql`delete from kretes.migrations where id >= 10`,
    hold: transaction => transaction`lock table kretes.migrations in share mode`
  },
  'in the making of views': {
    prepare: sql => sql`drop schema kretes cascade`,
    hold: lockJobs
  }
}

for (const form of ['a URL', "the caller's client"]) {
  for (const [place, { prepare, hold }] of Object.entries(places)) {
    loss(`${place} is an error and no more, and the next call finishes it (${form})`, async () => {
      const { database, background } = await prepareDatabase(form)
      await prepare(database.sql)
      await database.sql.begin(async transaction => {
        await hold(transaction)
        const migrating = background.migrate().then(
          () => assert.unreachable('it went on'),
          error => error
        )
        await until(async () => (await terminateWaiting(database)) > 0)
        const error = await migrating
        assert.is(error.name, 'BackgroundError')
        assert.is(error.code, 'DATABASE_UNAVAILABLE')
        assert.match(error.message, /^Cannot migrate the database: .* (closed|broke)/)
      })
      assert.is((await background.migrate()).hasChanged, true)
      assert.is((await background.migrate()).hasChanged, false)
      await background.schedule({ task: 'SendEmail' })
      assert.equal(
        [...(await database.sql`select task, waiting::int from kretes.tasks`)],
        [{ task: 'SendEmail', waiting: 1 }]
      )
    })
  }
}

loss('is told to who scheduled, and nothing was scheduled', async () => {
  const { database, background } = await prepareDatabase('a URL')
  await database.sql`drop schema graphile_worker cascade`
  await database.sql.begin(async transaction => {
    await lockAdvisory(transaction)
    const scheduling = background.schedule({ task: 'SendEmail' }).then(
      () => assert.unreachable('it was scheduled'),
      error => error
    )
    await until(async () => (await terminateWaiting(database)) > 0)
    assert.is((await scheduling).code, 'DATABASE_UNAVAILABLE')
  })
  const { id } = await background.schedule({ task: 'SendEmail' })
  assert.equal([...(await database.sql`select id from graphile_worker.jobs`)], [{ id }])
})

views('are made when one of them is missing, or is not of this version, though no step is', async () => {
  const { database, background } = await prepareDatabase('a URL')
  const { sql } = database
  for (const spoil of [
    () => sql`drop view kretes.queues`,
    () => sql`drop view kretes.jobs cascade`,
    () => sql`comment on view kretes.tasks is 'kretes, views of version 0'`,
    () => sql`comment on view kretes.tasks is 'mine, of 20260101123456789'`,
    () => sql`comment on view kretes.tasks is null`
  ]) {
    await spoil()
    assert.is((await background.migrate()).hasChanged, true)
    assert.is((await background.migrate()).hasChanged, false)
    for (const view of ['jobs', 'runs', 'rates', 'tasks', 'queues']) await sql`select from kretes.${sql(view)}`
  }
})

views('of a newer version stay as they are', async () => {
  const { database, background } = await prepareDatabase('a URL')
  for (const view of ['jobs', 'runs', 'rates', 'tasks', 'queues']) {
    const comment = `'kretes, views of version ${NEWEST_VIEWS + 1}'`
    await database.sql`comment on view kretes.${database.sql(view)} is ${database.sql.unsafe(comment)}`
  }
  assert.is((await background.migrate()).hasChanged, false)
})

views('are there for everybody while they are made anew', async () => {
  const { database, background } = await prepareDatabase('a URL')
  const { sql } = database
  const count = async (): Promise<unknown> => {
    const [row] = await sql`select count(*)::int from pg_views where schemaname = 'kretes'`
    return row?.count
  }
  // As if both had changed.
  await sql`delete from kretes.migrations where id >= 10`
  await sql`comment on view kretes.tasks is null`
  const migrating = await sql.begin(async transaction => {
    await lockJobs(transaction)
    const report = background.migrate()
    report.catch(() => {})
    await until(async () => (await waiting(database)) > 0)
    assert.is(await count(), 9)
    return { report }
  })
  assert.is((await migrating.report).hasChanged, true)
  assert.is(await count(), 9)
})

views('are made although the database ended their making in favour of somebody else', async () => {
  const { database, background } = await prepareDatabase('a URL', '?deadlock_timeout=3000')
  const { sql } = database
  await sql`delete from kretes.migrations where id >= 10`
  await sql`comment on view kretes.tasks is null`
  const migrating = await sql.begin(async transaction => {
    // So that it is the other one.
    await transaction`set local deadlock_timeout = '10min'`
    await lockJobs(transaction)
    const report = background.migrate()
    report.catch(() => {})
    await until(async () => (await waiting(database)) > 0)
    // It has dropped this one, and waits for us.
    await transaction`select from kretes.jobs`
    return { report }
  })
  assert.is((await migrating.report).hasChanged, true)
  assert.is((await background.migrate()).hasChanged, false)
  await sql`select from kretes.tasks`
})

views(
  'of this version are these; whoever changes one gives them a new version, and this test the new hash',
  async () => {
    const { database } = await prepareDatabase('a URL')
    const texts: string[] = []
    const debug = (_connection: number, text: string): void => void texts.push(text.replace(/\s+/g, ' '))
    const sql = postgres(database.url, { max: 1, debug, onnotice: () => {} })
    onceDone(() => sql.end())
    await createViews(executeIn(sql), 'kretes', 'graphile_worker')
    const made = texts.filter(text => text.includes('create view'))
    assert.is(made.length, 9)
    const hash = createHash('sha256').update(made.join('\n')).digest('hex').slice(0, 16)
    assert.equal([NEWEST_VIEWS, hash], [9, '45780d2968cd97cd'])
  }
)

for (const form of ['a URL', "the caller's client"]) {
  locks(`takes no lock where nothing is to be done: it passes by who holds it (${form})`, async () => {
    const { database, background } = await prepareDatabase(form)
    await database.sql.begin(async transaction => {
      await lockAdvisory(transaction)
      const migrating = background.migrate()
      const isStuck = until(async () => (await waiting(database)) > 0).then(
        () => 'stuck',
        () => 'stuck'
      )
      const first = await Promise.race([migrating.then(({ hasChanged }) => hasChanged), isStuck])
      assert.is(first, false)
    })
  })
}

locks('passes a pooler in transaction mode where nothing is to be done, and leaves no lock there', async () => {
  const { database } = await prepareDatabase('a URL')
  const pooler = await createTransactionPooler(database.url)
  // Others, so that each transaction comes to another process of the server's.
  const other = postgres(pooler, { max: 2, prepare: false, fetch_types: false })
  onceDone(() => other.end({ timeout: 0 }))
  await Promise.all([other`select pg_sleep(0.01)`, other`select pg_sleep(0.01)`])
  await using background = createBackground({ connection: pooler, prepare: false })
  for (let round = 0; round < 3; round++) assert.is((await background.migrate()).hasChanged, false)
  const advisory = await database.sql`
    select from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`
  assert.is(advisory.length, 0)
})

locks('prepares nothing by name, which a pooler may not keep', async () => {
  const { url } = await createDatabase({ isEmpty: true })
  const { host, port } = postgres(url).options
  const sent: Buffer[] = []
  const proxy = createServer(client => {
    const server = connect(port[0]!, host[0]).on('error', () => client.destroy())
    client
      .on('error', () => server.destroy())
      .on('data', bytes => sent.push(bytes))
      .pipe(server)
      .pipe(client)
  })
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
  onceDone(() => proxy.close())
  const connection = Object.assign(new URL(url), { host: `127.0.0.1:${(proxy.address() as AddressInfo).port}` })
  await using background = createBackground({ connection, prepare: false })
  assert.is((await background.migrate()).hasChanged, true)
  assert.is((await background.migrate()).hasChanged, false)
  const text = Buffer.concat(sent).toString('latin1')
  assert.match(text, /P[\s\S]{4}\0/)
  assert.not.match(text, /P[\s\S]{4}[a-z0-9]+\0/)
})

/** A database that is up to date, and a Background for it. */
async function prepareDatabase(
  form: string,
  parameters = ''
): Promise<{ database: TestDatabase; background: BackgroundClient }> {
  const database = await createDatabase({ isEmpty: true })
  const url = database.url + parameters
  const client = form === 'a URL' ? undefined : postgres(url, { max: 2, onnotice: () => {} })
  const background = createBackground({ connection: client ?? url })
  onceDone(async () => {
    await background.close()
    await client?.end()
  })
  await background.migrate()
  return { database, background }
}

async function lockAdvisory(transaction: TransactionSql): Promise<unknown> {
  return await transaction`select pg_advisory_xact_lock(${0x6b726574}, ${0x6d696772})`
}

async function lockJobs(transaction: TransactionSql): Promise<unknown> {
  return await transaction`lock table graphile_worker._private_jobs in access exclusive mode`
}

async function waiting({ sql, name }: TestDatabase): Promise<number> {
  const rows = await sql`select from pg_stat_activity where datname = ${name} and wait_event_type = 'Lock'`
  return rows.length
}

async function terminateWaiting({ sql, name }: TestDatabase): Promise<number> {
  const rows = await sql`
    select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name} and wait_event_type = 'Lock'`
  return rows.length
}
