import { createBackground } from '../../../src/background.ts'
import { executeIn } from '../../../src/database/connections/session.ts'
import { migrate } from '../../../src/database/migrate.ts'
import { openDatabase } from '../../../src/database/open.ts'
import { Limit } from '../../../src/limit/limit.ts'
import { applyMigration, createMigrationTable, migrations } from '../../../src/sql/database/migrations.ts'
import { NEWEST_VIEWS } from '../../../src/sql/ledger/views.ts'
import { defineTask } from '../../../src/task.ts'
import { createDatabase, type TestDatabase } from '../../helpers/database.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { createRecord, haveEnded, isAllDone, type Numbered, perKey } from '../limits/slots.ts'
import { POLL, registered, stopWorkers, work } from '../prepare.ts'

const test = suite('the migration that adds rates')
test.after.each(stopWorkers)

/** The last step before it. */
const BEFORE = 14

const stripe = Limit.for('stripe', { concurrency: 3 })

/**
 * A database as that step left it: with a limit that was set, jobs of two keys that wait in lanes, one of them for later, and
 * slots of a worker that is lost.
 */
async function beforeIt(): Promise<TestDatabase> {
  const database = await createDatabase({ isEmpty: true })
  const { sql } = database
  await migrate(await openDatabase({ connection: database.url }), 'graphile_worker')
  await sql`drop schema kretes cascade`
  const indexes = await sql<{ name: string }[]>`
    select indexname as name from pg_indexes where schemaname = 'graphile_worker' and indexname like 'kretes_%'`
  for (const { name } of indexes) await sql`drop index graphile_worker.${sql(name)}`
  await createMigrationTable(executeIn(sql), 'kretes')
  for (const step of migrations.filter(({ id }) => id <= BEFORE))
    await sql.begin(session => applyMigration(executeIn(session), step, 'kretes', 'graphile_worker'))
  await sql`
    insert into kretes.declared_limits (name, concurrency, is_keyed, set_concurrency, set_at)
    values ('limit stripe', 3, false, 2, now()), ('key Charge', 1, true, null, null)`
  await sql`
    insert into kretes.definitions (name, definition)
    values ('Charge', '{"limits":["limit stripe","key Charge"]}')`
  await sql`
    select graphile_worker.add_job('Charge', json_build_object('n', n, 'key', n % 2), queue_name => 'kretes:limit Charge ' || n % 2,
      run_at => now() - interval '1 hour' + n * interval '1 s')
    from generate_series(1, 40) n`
  await sql`
    select graphile_worker.add_job('Charge', '{"n":41,"key":1}', queue_name => 'kretes:limit Charge 1', run_at => now() + interval '1 hour')`
  await sql`update graphile_worker._private_jobs set flags = '{"kretes:limited":true}'`
  await sql`
    insert into kretes.leases (limit_name, part, worker, lane, slots)
    select 'limit stripe', '', 'lost', id, 2 from graphile_worker._private_job_queues where queue_name like '% 1'`
  return database
}

test('keeps what waits and what was set, and lists limits without a rate', async () => {
  const { sql, url } = await beforeIt()
  await using background = createBackground({ connection: url })
  assert.is((await background.migrate()).hasChanged, true)
  assert.is((await background.migrate()).hasChanged, false)
  const figures = { rate: null, declaredRate: null, heldUntil: null, begun: null, waiting: 40 }
  assert.equal(
    (await background.limits.list()).map(({ setAt, oldestMs, ...limit }) => ({ ...limit, isSet: setAt !== null })),
    [
      {
        ...figures,
        kind: 'shared',
        name: 'stripe',
        perKey: false,
        concurrency: 2,
        declaredConcurrency: 3,
        isSet: true,
        used: 2,
        keys: 0
      },
      {
        ...figures,
        kind: 'task',
        name: 'Charge',
        perKey: true,
        concurrency: 1,
        declaredConcurrency: 1,
        isSet: false,
        used: 0,
        keys: 0
      }
    ]
  )
  const rows = await sql`select limit_key, state, count(*)::int from kretes.jobs group by 1, 2 order by 1, 2`
  assert.equal(
    rows.map(({ limit_key, state, count }) => [limit_key, state, count]),
    [
      ['0', 'waiting', 20],
      ['1', 'scheduled', 1],
      ['1', 'waiting', 20]
    ]
  )
})

test('lets a rate hold for the jobs that waited, each key in its order', async () => {
  const database = await beforeIt()
  await using background = createBackground({ connection: database.url })
  await background.migrate()
  const record = createRecord()
  const Charge = defineTask({
    name: 'Charge',
    limit: [stripe, { concurrency: 1, rate: '7/h', per: perKey }],
    run: record.pass('Charge')
  })
  await database.sql`delete from kretes.leases`
  await work(database, { tasks: { Charge, Free: () => {} }, pollInterval: 200 })
  await haveEnded(record, 14)
  for (let n = 0; n < 5; n++) await background.result(await background.schedule({ task: 'Free' }))
  const every = (key: number): string[] => Array.from({ length: 7 }, (_, n) => `Charge ${key} ${2 * n + (key || 2)}`)
  for (const key of [0, 1])
    assert.equal(
      record.begun.filter(one => one.startsWith(`Charge ${key} `)),
      every(key)
    )
  assert.ok(record.most <= 2, 'the limit that was set holds')
  await background.limits.set({ task: Charge, rate: '1000/h' })
  await haveEnded(record, 40)
  await database.sql`delete from graphile_worker._private_jobs`
  await isAllDone(database)
})

test('leaves the same indexes, tables, views and functions as a new database has', async () => {
  const { sql, url } = await beforeIt()
  await using background = createBackground({ connection: url })
  await background.migrate()
  const { sql: fresh } = await createDatabase()
  const partsOf = async (client: TestDatabase['sql']): Promise<unknown[]> => [
    ...(await client`
      select schemaname, indexdef from pg_indexes
      where schemaname in ('graphile_worker', 'kretes') and tablename !~ '_\\d{8}' order by 1, 2`),
    ...(await client`
      select table_name, column_name, data_type, is_nullable, column_default from information_schema.columns
      where table_schema = 'kretes' and table_name !~ '_\\d{8}' order by 1, 2`),
    ...(await client`
      select conrelid::regclass::text, pg_get_constraintdef(oid) from pg_constraint
      where connamespace = 'kretes'::regnamespace and conrelid::regclass::text !~ '_\\d{8}' order by 1, 2`),
    ...(await client`
      select proname, prosrc, proargnames from pg_proc where pronamespace = 'kretes'::regnamespace order by 1, 2`)
  ]
  const parts = await partsOf(sql)
  assert.equal(parts, await partsOf(fresh))
  for (const part of ['"starts"', '"holds"', 'set_rate_count', 'rate_ms', 'claim_lanes'])
    assert.ok(JSON.stringify(parts).includes(part), part)
})

test('makes the views anew: those of the step before lack rates', async () => {
  const { sql, url } = await beforeIt()
  await using background = createBackground({ connection: url })
  await background.migrate()
  await sql`drop view kretes.limits`
  await sql`create view kretes.limits as select name, concurrency, concurrency as declared from kretes.declared_limits`
  for (const view of ['limits', 'jobs', 'runs', 'rates', 'tasks', 'queues', 'schedules', 'pauses'])
    await sql.unsafe(`comment on view kretes.${view} is 'kretes, views of version ${NEWEST_VIEWS - 1}'`)
  assert.is((await background.migrate()).hasChanged, true)
  const [row] = await sql`select rate, declared_rate, declared_concurrency, begun, held_until from kretes.limits`
  assert.equal({ ...row }, { rate: null, declared_rate: null, declared_concurrency: 3, begun: null, held_until: null })
})

test('happens once although workers and programs start at the same time', async () => {
  const database = await beforeIt()
  await database.sql`delete from kretes.leases`
  const record = createRecord()
  const Charge = defineTask({
    name: 'Charge',
    limit: [stripe, { rate: '1000/min', per: perKey }],
    run: (payload: Numbered, context) => record.pass('Charge')(payload, context)
  })
  await using background = createBackground({ connection: database.url })
  const [job] = await Promise.all([
    background.schedule({ task: Charge, payload: { n: 50, key: 1 }, delay: '1h' }),
    background.limits.list(),
    background.migrate(),
    ...[1, 2, 3].map(() => work(database, { tasks: { Charge }, ...POLL }))
  ])
  assert.is(job.queue, null)
  await haveEnded(record, 40)
  await registered(database, 3)
  const steps = await database.sql`select id, name from kretes.migrations where id > ${BEFORE} order by id limit 1`
  assert.equal(
    steps.map(({ id, name }) => [id, name]),
    [[15, 'add rates']]
  )
  assert.is((await background.limits.list())[1]?.declaredRate, '1000/min')
})
