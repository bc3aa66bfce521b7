import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createBackground } from '../../src/background.ts'
import { executeIn } from '../../src/database/connections/session.ts'
import { type MigrationReport, migrate } from '../../src/database/migrate.ts'
import { openDatabase } from '../../src/database/open.ts'
import { applyMigration, createMigrationTable, migrations } from '../../src/sql/database/migrations.ts'
import { startWorker } from '../../src/worker/worker.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { run } from '../helpers/process.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('the schema')
const script = fileURLToPath(new URL('../fixtures/come-up.ts', import.meta.url))

test('is installed by the first schedule()', async () => {
  const database = await createDatabase({ isEmpty: true })
  await using background = createBackground({ connection: database.url })
  const { id } = await background.schedule({ task: 'SendEmail' })
  assert.equal([...(await database.sql`select id from graphile_worker.jobs`)], [{ id }])
  assert.ok((await stateOf(database)).kretes)
})

test('is installed once by many who schedule while it comes into being', async () => {
  const database = await createDatabase({ isEmpty: true })
  const jobs = await Promise.all(
    Array.from({ length: 12 }, async (_, n) => {
      await using background = createBackground({ connection: database.url })
      await sleep(n * 30)
      return [await background.schedule({ task: 'SendEmail' }), await background.schedule({ task: 'SendEmail' })]
    })
  )
  assert.is(new Set(jobs.flat().map(({ id }) => id)).size, 24)
})

test('is installed by ten processes that start at once, workers among them, and all come up', async () => {
  const database = await createDatabase({ isEmpty: true })
  const exits = await Promise.all(
    Array.from({ length: 10 }, (_, n) =>
      run(process.execPath, [script, n % 2 === 0 ? 'worker' : 'schedule', database.url])
    )
  )
  for (const { code, stderr } of exits) assert.is(code, 0, stderr)
  const lines = exits.map(({ stdout }) => stdout.trim())
  assert.is(lines.filter(line => line === 'worker Unheard').length, 5)
  assert.is(new Set(lines.filter(line => /^job \d+$/.test(line))).size, 5)
  const [row] = await database.sql`select count(distinct payload->>'pid')::int from graphile_worker._private_jobs`
  assert.is(row?.count, 5)
})

test('needs no privilege to create a schema that is there', async () => {
  const database = await createDatabase({ isEmpty: true })
  const role = `only_${database.name}`
  await database.sql`create role ${database.sql(role)} login`
  onceDone(() =>
    database.sql`drop owned by ${database.sql(role)}`.then(() => database.sql`drop role ${database.sql(role)}`)
  )
  for (const schema of ['graphile_worker', 'kretes']) {
    await database.sql`create schema ${database.sql(schema)} authorization ${database.sql(role)}`
  }
  const url = Object.assign(new URL(database.url), { username: role }).href
  await using background = createBackground({ connection: url })
  assert.is((await background.migrate()).hasChanged, true)
  await background.schedule({ task: 'SendEmail' })
})

test('reports a change the first time and none the second', async () => {
  const database = await createDatabase({ isEmpty: true })
  await using background = createBackground({ connection: database.url })
  const first = await background.migrate()
  const second = await background.migrate()
  assert.is(first.hasChanged, true)
  assert.equal(second, { ...first, hasChanged: false })
  const [engine] = await database.sql`select max(id) from graphile_worker.migrations`
  assert.is(first.engine, engine?.max)
  const [kretes] = await database.sql`select coalesce(max(id), 0) as max from kretes.migrations`
  assert.is(first.kretes, kretes?.max)
})

test('of an older engine is brought up to date, its jobs kept', async () => {
  const database = await createDatabase({ isEmpty: true })
  await using background = createBackground({ connection: database.url })
  const { engine } = await background.migrate()
  const { id } = await background.schedule({ task: 'SendEmail' })
  // As if the newest step, which this function came with, had not been there yet.
  await database.sql`delete from graphile_worker.migrations where id = ${engine}`
  const steps = await database.sql`select id from graphile_worker.migrations`
  assert.not(steps.some(step => step.id === engine))
  const report = await background.migrate()
  assert.equal([report.engine, report.hasChanged], [engine, true])
  assert.equal([...(await database.sql`select id from graphile_worker.jobs`)], [{ id }])
})

test('of 1.0.0-beta.1 is brought up to date, its workers, counters and views kept', async () => {
  const database = await createDatabase({ isEmpty: true })
  const { sql } = database
  const { kretes } = await migrateOnce(database)
  await sql`drop schema kretes cascade`
  await createMigrationTable(executeIn(sql), 'kretes')
  for (const step of migrations.slice(0, 4))
    await sql.begin(session => applyMigration(executeIn(session), step, 'kretes', 'graphile_worker'))
  await sql`insert into kretes.workers (id, host, pid, concurrency) values ('old', 'here', 1, 1)`
  await sql`
    insert into kretes.counters (minute, runs, duration_bucket, task, queue, state, waiting_ms, running_ms)
    select date_trunc('minute', now()), 2, 0, 'Old', 'queue ' || n, 'succeeded', 1, 1 from generate_series(1, 3) n`
  await sql`create view kretes.rates as select minute, queue, sum(runs) as runs from kretes.counters group by 1, 2`
  assert.equal((await migrateOnce(database)).kretes, kretes)
  assert.equal([...(await sql`select id, retention from kretes.workers`)], [{ id: 'old', retention: null }])
  assert.equal(
    [...(await sql`select task, state, runs::int from kretes.rates`)],
    [{ task: 'Old', state: 'succeeded', runs: 6 }]
  )
  assert.equal([...(await sql`select from kretes.jobs`)], [])
})

test('of a newer kretes is refused, and nothing changes', async () => {
  const database = await createDatabase({ isEmpty: true })
  const { kretes } = await migrateOnce(database)
  await database.sql`insert into kretes.migrations (id, name) values (9999, 'from the future')`
  await refusesNewer(
    database,
    `the schema kretes: it is at version 9999, and this version of kretes knows it up to ${kretes}. Update kretes here`
  )
})

test('of a newer kretes is refused even before the engine is installed', async () => {
  const database = await createDatabase({ isEmpty: true })
  await migrateOnce(database)
  await database.sql`insert into kretes.migrations (id, name) values (9999, 'from the future')`
  await database.sql`drop schema graphile_worker cascade`
  await refusesNewer(database, 'the schema kretes: it is at version 9999')
})

test("of an engine with a newer breaking step is refused: what this version knows is the engine's own newest", async () => {
  const database = await createDatabase({ isEmpty: true })
  const { engine, kretes } = await migrateOnce(database)
  await database.sql`update graphile_worker.migrations set breaking = true where id = ${engine}`
  assert.equal(await migrateOnce(database), { engine, kretes, hasChanged: false })
  await database.sql`insert into graphile_worker.migrations (id, breaking) values (${engine + 1}, true)`
  await refusesNewer(
    database,
    `the schema graphile_worker: it is at version ${engine + 1}, and this version of kretes knows it up to ${engine}. Update kretes here`
  )
})

test('of an engine with a newer step that breaks nothing is used', async () => {
  const database = await createDatabase({ isEmpty: true })
  const { engine, kretes } = await migrateOnce(database)
  await database.sql`insert into graphile_worker.migrations (id, breaking) values (${engine + 1}, false)`
  assert.equal(await migrateOnce(database), { engine: engine + 1, kretes, hasChanged: false })
})

test('cannot be installed or used by a role without privileges, which is told who can', async () => {
  const admin = await createDatabase({ isEmpty: true })
  const role = `limited_${admin.name}`
  onceDone(() => admin.sql.unsafe(`drop role "${role}"`))
  const database = await createDatabase({ isEmpty: true })
  await admin.sql.unsafe(`create role "${role}" login`)
  const url = new URL(database.url)
  url.username = role
  const label = `${role}@${url.host}/${database.name}`
  const remedy = `the user of ${label} lacks a privilege there. Let its owner grant it, or, if the schema is missing or out of date, run: kretes background migrate`
  const tasks = { SendEmail: () => {} }
  const rejections = async (): Promise<unknown[]> => {
    await using background = createBackground({ connection: url })
    const calls = [background.schedule({ task: 'SendEmail' }), startWorker({ connection: url, tasks })]
    return (await Promise.allSettled(calls)).map(call => call.status === 'rejected' && call.reason)
  }
  const before = await rejections()
  await migrateOnce(database)
  for (const [schedule, worker] of [before, await rejections()] as { code: string; message: string }[][]) {
    assert.is(schedule?.code, 'MIGRATION')
    assert.is(schedule?.message, `Cannot schedule SendEmail: ${remedy}`)
    assert.is(worker?.code, 'MIGRATION')
    assert.is(worker?.message, `Cannot start a worker: ${remedy}`)
  }
})

async function migrateOnce({ url }: TestDatabase): Promise<MigrationReport> {
  return await migrate(await openDatabase({ connection: url }), 'graphile_worker')
}

async function refusesNewer(database: TestDatabase, reason: string): Promise<void> {
  const before = await stateOf(database)
  const connection = database.url
  await using background = createBackground({ connection })
  const start = () => startWorker({ connection, tasks: { SendEmail: () => {} } })
  for (const attempt of [() => background.migrate(), start]) {
    const error = await attempt().then(
      () => assert.unreachable('it was not refused'),
      thrown => thrown
    )
    assert.is(error.code, 'DATABASE_NEWER')
    assert.ok(error.message.startsWith(`Cannot use ${reason}`), error.message)
  }
  assert.equal(await stateOf(database), before)
}

/** What the schemas consist of, and which steps have been taken. */
async function stateOf({ sql }: TestDatabase): Promise<Record<string, unknown[] | undefined>> {
  const objects = await sql`
    select nspname, relname, relkind from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where nspname in ('kretes', 'graphile_worker') order by 1, 2`
  const steps = (schema: string) =>
    sql`select id from ${sql(schema)}.migrations order by id`.then(
      rows => rows.map(({ id }) => id),
      () => undefined
    )
  return { objects: [...objects], kretes: await steps('kretes'), graphile_worker: await steps('graphile_worker') }
}
