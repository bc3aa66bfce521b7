import postgres from 'postgres'
import { createBackground } from '../../src/background.ts'
import { executeIn } from '../../src/database/connections/session.ts'
import type { Finding, FindingCode } from '../../src/diagnose/doctor/finding.ts'
import type { Limits } from '../../src/diagnose/doctor/limits.ts'
import { diagnose } from '../../src/diagnose/doctor.ts'
import { createPartitions, dayOf, partitionOf } from '../../src/sql/ledger/partitions.ts'
import { lockUpkeep } from '../../src/sql/ledger/upkeep.ts'
import type { LedgerOptions, WorkerOptions } from '../../src/worker/options.ts'
import type { Worker } from '../../src/worker/worker.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { startServer } from '../helpers/server.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { fill, work } from '../worker/work.ts'
import { createDeafProxy, createTransactionPooler } from './poolers.ts'

const test = suite('doctor()')

test('finds nothing where all is well, with a worker and, as long as no job waits, without', async () => {
  const { database, background } = await prepare()
  assert.equal(await background.doctor(), { isHealthy: true, findings: [] })
  await background.schedule({ task: 'Note', delay: '1h' })
  assert.equal(codesOf(await background.doctor()), [])
  await work(database, { tasks: { Note: () => {} } })
  await background.schedule({ task: 'Note' })
  assert.equal(codesOf(await background.doctor()), [])
})

test('finds a schema that is missing, and leaves it missing; one that is newer', async () => {
  const database = await createDatabase({ isEmpty: true })
  const background = open(database)
  assert.equal(codesOf(await background.doctor()), ['migrations-missing'])
  const [schema] = await database.sql`select to_regnamespace('kretes') is null as missing`
  assert.is(schema?.missing, true)
  await background.migrate()
  assert.equal(codesOf(await background.doctor()), [])
  await database.sql`insert into kretes.migrations (id, name) values (99, 'of the future')`
  const { findings } = await background.doctor()
  assert.equal([findings[0]?.code, findings[0]?.remedy], ['schema-newer', 'Update kretes here'])
})

test('finds views that are missing', async () => {
  const { database, background } = await prepare()
  await database.sql`drop view kretes.queues`
  const { findings } = await background.doctor()
  assert.equal(codesOf({ findings }), ['schema-incomplete'])
  assert.match(findings[0]!.remedy, /kretes background migrate/)
  await background.migrate()
  assert.equal(codesOf(await background.doctor()), [])
})

test('finds a user whose tables land among ours, and the tables', async () => {
  const server = await startServer()
  onceDone(() => server.stop())
  const admin = postgres(server.url, { max: 1, onnotice: () => {} })
  onceDone(() => admin.end())
  await admin.unsafe('create role kretes superuser login')
  const url = Object.assign(new URL(server.url), { username: 'kretes' }).href
  const background = createBackground({ connection: url })
  onceDone(() => background.close())
  await background.migrate()
  const [finding, ...rest] = (await background.doctor()).findings
  assert.equal([finding?.code, finding?.severity, rest], ['search-path', 'warning', []])
  assert.match(finding!.remedy, 'alter role kretes set search_path = public')
  const app = postgres(url, { max: 1 })
  await app`create table users (id int)`
  await app.end()
  await admin.unsafe('alter role kretes set search_path = public')

  await using again = createBackground({ connection: url })
  const { findings } = await again.doctor()
  assert.equal(
    findings.map(({ message, remedy }) => [message, remedy]),
    [
      [
        "kretes contains objects that are not kretes' own: users",
        'Move them: alter table kretes.users set schema public'
      ]
    ]
  )
  await admin.unsafe('alter table kretes.users set schema public')
  assert.equal(await again.doctor(), { isHealthy: true, findings: [] })
})

test('finds a server that does not answer, that is too old, or read-only', async () => {
  const nobody = createBackground({ connection: 'postgres://someone@127.0.0.1:1/nothing' })
  const { findings } = await nobody.doctor()
  await nobody.close()
  assert.is(findings[0]?.code, 'unreachable')
  assert.match(findings[0]!.message, /nothing listens at someone@127\.0\.0\.1:1\/nothing/)
  const { database, background } = await prepare()
  // What a server says of itself can be put into its mouth.
  await database.sql`create schema odd`
  await database.sql`
    create function odd.current_setting(name text) returns text language sql
    as $$ select case name when 'server_version' then '13.9' when 'server_version_num' then '130009'
      else pg_catalog.current_setting(name) end $$`
  await database.sql`alter database ${database.sql(database.name)} set search_path = odd, pg_catalog, public`
  await database.sql`alter database ${database.sql(database.name)} set default_transaction_read_only = on`
  const old = await background.doctor()
  assert.equal(codesOf(old), ['postgres-version', 'read-only'])
  assert.is(old.findings[0]?.message, 'The server is PostgreSQL 13.9, and kretes needs 14 or newer')
})

test('finds clocks that differ', async () => {
  const { database, background } = await prepare()
  await database.sql`create schema odd`
  await database.sql`
    create function odd.clock_timestamp() returns timestamptz language sql
    as $$ select pg_catalog.clock_timestamp() + interval '90 seconds' $$`
  await database.sql`alter database ${database.sql(database.name)} set search_path = odd, pg_catalog, public`
  const { findings } = await background.doctor()
  assert.equal(codesOf({ findings }), ['clock-skew'])
  assert.match(findings[0]!.message, /^The clock of this machine is 1\.5 minutes behind that of the database/)
})

test('finds a pooler in transaction mode', async () => {
  const { database } = await prepare()
  const pooled = createBackground({ connection: await createTransactionPooler(database.url) })
  onceDone(() => pooled.close())
  const { findings } = await pooled.doctor()
  assert.equal(codesOf({ findings }), ['pooler'])
})

test('finds notifications that do not arrive in time', async () => {
  const { database } = await prepare()
  const deaf = { url: await createDeafProxy(database.url) }
  assert.equal(await examine(deaf, { notificationMs: 300 }), ['listen'])
})

test('finds privileges that a role lacks', async () => {
  const { database } = await prepare()
  const { sql, name } = database
  const role = `clerk_${name}`
  await sql`create role ${sql(role)} login`
  onceDone(() => sql`drop owned by ${sql(role)}`.then(() => sql`drop role ${sql(role)}`))
  const url = Object.assign(new URL(database.url), { username: role }).href
  const clerk = createBackground({ connection: url })
  onceDone(() => clerk.close())
  assert.is((await clerk.doctor()).findings[0]?.code, 'privileges')
  await sql`grant usage on schema kretes, graphile_worker to ${sql(role)}`
  await sql`grant all on all tables in schema kretes, graphile_worker to ${sql(role)}`
  await sql`grant all on all sequences in schema kretes, graphile_worker to ${sql(role)}`
  const { findings } = await clerk.doctor()
  assert.equal(codesOf({ findings }), ['privileges'])
  assert.is(findings[0]?.message, 'This user lacks create on schema kretes; ownership of kretes.ledger')
})

test('finds vacuum that is off, and dead rows that pile up', async () => {
  const { database } = await prepare()
  const { sql } = database
  await sql`alter table graphile_worker._private_jobs set (autovacuum_enabled = off)`
  await fill(database, 'Note', 300)
  await sql`select count(*) from graphile_worker.complete_jobs(array(select id from graphile_worker.jobs))`
  await until(async () => {
    // Before PostgreSQL 15 a connection tells what it did with the next thing that it does.
    await sql`select 1`
    return (await examine(database, { deadRows: 200 })).length === 2
  })
  assert.equal(await examine(database, { deadRows: 200 }), ['autovacuum-off', 'bloat'])
})

test('finds who holds back vacuum: transactions, slots, prepared transactions', async () => {
  const server = await startServer({ settings: { wal_level: 'logical', max_prepared_transactions: 2 } })
  onceDone(server.stop)
  const sql = postgres(server.url, { max: 1, onnotice: () => {} })
  const holder = postgres(server.url, { max: 1, connection: { application_name: 'forgotten' } })
  onceDone(() => Promise.all([sql.end({ timeout: 0 }), holder.end({ timeout: 0 })]))
  const database = { url: server.url }
  await open(database).migrate()
  const gate = Promise.withResolvers<void>()
  const started = Promise.withResolvers<void>()
  const holding = holder.begin('isolation level repeatable read', async transaction => {
    await transaction`select count(*) from graphile_worker.jobs`
    started.resolve()
    await gate.promise
  })
  await started.promise
  await sql`create table t (n int)`
  await sql.unsafe(`begin; insert into t values (1); prepare transaction 'gone'`)
  let codes: FindingCode[] = []
  await until(async () => {
    codes = await examine(database, { holderMs: 200 })
    return codes.length >= 2
  })
  assert.equal(codes.toSorted(), ['old-transaction', 'prepared-transaction'])
  gate.resolve()
  await holding
  await sql`rollback prepared 'gone'`
  await sql`select pg_create_logical_replication_slot('unused', 'pgoutput')`
  let findings: readonly Finding[] = []
  await until(async () => {
    findings = await look(database, { holderMs: 200 })
    return findings.length === 1
  })
  assert.equal(
    [findings[0]?.code, findings[0]?.remedy],
    ['replication-slot', "Reconnect its reader, or drop it: select pg_drop_replication_slot('unused')"]
  )
})

test('finds jobs that nobody runs: no worker, a lost one, an unknown task', async () => {
  const { database, background } = await prepare()
  await background.schedule({ task: 'Note' })
  assert.equal(codesOf(await background.doctor()), ['no-worker'])
  await database.sql`
    insert into kretes.workers (id, host, pid, concurrency, tasks, beat_at)
    values ('worker-lost', 'elsewhere', 1, 4, '{Note}', now() - interval '1 minute')`
  assert.equal(codesOf(await background.doctor()), ['lost-workers', 'no-worker'])
  await database.sql`delete from kretes.workers`
  await work(database, { tasks: { Other: () => {} } })
  const { findings } = await background.doctor()
  assert.equal(codesOf({ findings }), ['unknown-tasks'])
  assert.is(findings[0]?.message, 'Jobs wait that no live worker knows: Note (1)')
})

test('finds jobs that have failed for good, and tasks that keep failing', async () => {
  const { database, background } = await prepare()
  const Fail = (): never => {
    throw new Error('It broke')
  }
  await work(database, { tasks: { Fail } })
  await background.schedule({ task: 'Fail', maxAttempts: 1 })
  await until(async () => (await background.status()).totals.failures === 1)
  const { isHealthy, findings: one } = await background.doctor()
  assert.equal([isHealthy, one[0]?.message], [false, '1 job has failed for good and stays: Fail (1)'])
  await background.scheduleMany({ task: 'Fail', maxAttempts: 1, payloads: Array.from({ length: 24 }, () => ({})) })
  await until(async () => (await background.status()).totals.failures === 25)
  const findings = await look(database)
  assert.equal(codesOf({ findings }), ['failed-jobs', 'failing-task'])
  assert.is(findings[0]?.message, '25 jobs have failed for good and stay: Fail (25)')
  assert.is(findings[1]?.message, 'Fail keeps failing: 25 of 25 runs in the last hour')
})

test('finds a ledger without room, or grown large', async () => {
  const { database } = await prepare()
  assert.equal(await examine(database, { ledgerBytes: 1 }), ['ledger-size'])
  await withoutUpkeep(database, async () => {
    await database.sql`drop table kretes.${database.sql(partitionOf(today() + 1, false))}`
    assert.equal(codesOf({ findings: await look(database) }), [], 'nobody needs it')
    const silent = await join(database, { ledger: false, tasks })
    assert.equal(codesOf({ findings: await look(database) }), [], 'nobody who is there needs it')
    await silent.stop()
    await join(database, { tasks })
    const missing = await look(database)
    assert.equal([missing[0]?.code, missing[0]?.severity, missing.length], ['no-partition', 'warning', 1])
  })
})

test('finds runs that should be gone by what the workers keep, and not those that they keep for longer', async () => {
  const { database, background } = await prepare()
  await addDays(database, 5, 12, 40, 400)
  assert.equal(codesOf(await background.doctor()), [], 'without a worker nobody knows what is kept')
  await withoutUpkeep(database, async () => {
    for (const [ledger, message, remedy] of [
      [{ keepSuccesses: 'forever', keepFailures: 'forever' }],
      [false],
      [
        { keepSuccesses: 'forever', keepFailures: '90d' },
        `1 partition of the ledger is older than workers keep runs (successes for ever, failures for 90 days), from ${partitionOf(today() - 400, true)} on`,
        '--keep-successes forever --keep-failures 90d'
      ],
      [
        {},
        `5 partitions of the ledger are older than workers keep runs (successes for 7 days, failures for 30 days), from ${partitionOf(today() - 400, false)} on`,
        '--keep-successes 7d --keep-failures 30d'
      ],
      [
        { keepSuccesses: '36h', keepFailures: false },
        `8 partitions of the ledger are older than workers keep runs (successes for 1.5 days, failures not at all), from ${partitionOf(today() - 400, false)} on`,
        '--keep-successes 2d --keep-failures 1d'
      ]
    ] satisfies [false | LedgerOptions, string?, string?][]) {
      const worker = await join(database, { ledger, tasks })
      const { findings } = await background.doctor()
      await worker.stop()
      assert.equal(codesOf({ findings }), message === undefined ? [] : ['ledger-retention'], JSON.stringify(ledger))
      assert.is(findings[0]?.message, message)
      assert.is(/ --keep-successes .*/.exec(findings[0]?.remedy ?? '')?.[0].trim(), remedy)
    }
  })
  const { dropped } = await background.prune({ keepSuccesses: 'forever', keepFailures: '90d' })
  assert.equal(dropped, [partitionOf(today() - 400, true)])
})

test('finds workers that keep runs for different times, of which the shortest holds', async () => {
  const { database, background } = await prepare()
  await addDays(database, 12)
  await withoutUpkeep(database, async () => {
    await join(database, { ledger: { keepSuccesses: '90d' }, tasks })
    await join(database, { ledger: { keepSuccesses: '90d' }, tasks })
    await join(database, { ledger: false, tasks })
    assert.equal(codesOf(await background.doctor()), [])
    await join(database, { ledger: { keepSuccesses: '3d' }, tasks })
    const { findings } = await background.doctor()
    assert.equal(codesOf({ findings }), ['ledger-retention', 'ledger-retention'])
    assert.is(
      findings[0]?.message,
      'Workers keep runs for different times, and the shortest applies to all: successes for 90 days, failures for 30 days; successes for 3 days, failures for 30 days'
    )
    assert.match(findings[1]!.message, /^1 partition .* \(successes for 3 days, failures for 30 days\)/)
  })
})

test('goes by the latest worker on the register if none is alive', async () => {
  const { database, background } = await prepare()
  await addDays(database, 12)
  const lose = (id: string, retention: string, agoS: number) => database.sql`
    insert into kretes.workers (id, host, pid, concurrency, started_at, beat_at, retention)
    values (${id}, 'elsewhere', 1, 4, now() - ${agoS} * interval '1 s', now() - interval '1 minute', ${retention}::text::json)`
  await lose('first', '{"successesMs": null, "failuresMs": null}', 90)
  assert.equal(codesOf(await background.doctor()), ['lost-workers'])
  await lose('second', '{"successesMs": 0, "failuresMs": null}', 80)
  assert.equal(codesOf(await background.doctor()), ['lost-workers', 'ledger-retention'])
})

const tasks = { Note: () => {} }

/** Starts a worker, and waits until it is on the register. */
async function join(database: TestDatabase, options: WorkerOptions): Promise<Worker> {
  const count = async (): Promise<number> => (await database.sql`select from kretes.workers`).length
  const before = await count()
  const worker = await work(database, options)
  await until(async () => (await count()) > before)
  return worker
}

/** While no worker looks after the ledger, as if something kept them from it. */
async function withoutUpkeep({ sql }: TestDatabase, during: () => Promise<void>): Promise<void> {
  await sql.begin(async transaction => {
    assert.ok(await lockUpkeep(executeIn(transaction), 'kretes'))
    await during()
  })
}

/** Makes the partitions of days that are so many days ago. */
async function addDays({ sql }: TestDatabase, ...daysAgo: readonly number[]): Promise<void> {
  for (const days of daysAgo)
    await createPartitions(executeIn(sql), 'kretes', { from: today() - days, to: today() - days + 1 })
}

function today(): number {
  return dayOf(new Date())
}

function open({ url }: { url: string }): ReturnType<typeof createBackground> {
  const background = createBackground({ connection: url })
  onceDone(() => background.close())
  return background
}

async function prepare(): Promise<{ database: TestDatabase; background: ReturnType<typeof createBackground> }> {
  const database = await createDatabase()
  const background = open(database)
  await background.migrate()
  return { database, background }
}

async function look({ url }: { url: string }, limits: Partial<Limits> = {}): Promise<readonly Finding[]> {
  const client = postgres(url, { max: 1, onnotice: () => {} })
  try {
    return (await diagnose({ client, schema: 'graphile_worker', label: 'the database', limits })).findings
  } finally {
    await client.end({ timeout: 1 })
  }
}

async function examine(database: { url: string }, limits: Partial<Limits>): Promise<FindingCode[]> {
  return codesOf({ findings: await look(database, limits) })
}

function codesOf({ findings }: { findings: readonly Finding[] }): FindingCode[] {
  return findings.map(({ code }) => code)
}
