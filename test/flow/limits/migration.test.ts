import { createBackground } from '../../../src/background.ts'
import { executeIn } from '../../../src/database/connections/session.ts'
import { migrate } from '../../../src/database/migrate.ts'
import { openDatabase } from '../../../src/database/open.ts'
import { applyMigration, createMigrationTable, migrations } from '../../../src/sql/database/migrations.ts'
import { NEWEST_VIEWS } from '../../../src/sql/ledger/views.ts'
import { defineTask, type TaskContext } from '../../../src/task.ts'
import { createDatabase, type TestDatabase } from '../../helpers/database.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { countJobs } from '../../worker/work.ts'
import { POLL, stopWorkers, work } from '../prepare.ts'

const test = suite('the migration that adds limits')
test.after.each(stopWorkers)

/** The last step before it. */
const BEFORE = 13

/** A database as that step left it, with jobs that wait: some without a queue, some in queues, some for later. */
async function beforeIt(): Promise<TestDatabase> {
  const database = await createDatabase({ isEmpty: true })
  const { sql } = database
  await migrate(await openDatabase({ connection: database.url }), 'graphile_worker')
  await sql`drop schema kretes cascade`
  for (const index of ['kretes_lanes', 'kretes_lanes_in_time', 'kretes_queued', 'kretes_queues_in_order'])
    await sql`drop index graphile_worker.${sql(index)}`
  await createMigrationTable(executeIn(sql), 'kretes')
  for (const step of migrations.filter(({ id }) => id <= BEFORE))
    await sql.begin(session => applyMigration(executeIn(session), step, 'kretes', 'graphile_worker'))
  await sql`
    select graphile_worker.add_job('Count', json_build_object('n', n),
      queue_name => case n % 3 when 0 then 'one' when 1 then 'two' end,
      run_at => now() - interval '1 hour' + n * interval '1 s')
    from generate_series(1, 60) n`
  await sql`select graphile_worker.add_job('Count', queue_name => 'one', run_at => now() + interval '1 hour')`
  return database
}

test('keeps jobs without a queue and in queues, and all of them run, those of a queue in order', async () => {
  const database = await beforeIt()
  await using background = createBackground({ connection: database.url })
  assert.is((await background.migrate()).hasChanged, true)
  assert.is((await background.migrate()).hasChanged, false)
  assert.equal(await background.limits.list(), [])
  assert.equal(
    (await background.status()).queues.map(({ queue, waiting, scheduled }) => [queue, waiting, scheduled]),
    [
      ['one', 20, 1],
      ['two', 20, 0]
    ]
  )
  const ran: [queue: string | null, n: number][] = []
  const Count = ({ n }: { n: number }, { job }: TaskContext): void => void ran.push([job.queue, n])
  await work(database, { tasks: { Count }, ...POLL })
  await until(async () => (await countJobs(database)) === 1)
  const of = (queue: string | null): number[] => ran.flatMap(([name, n]) => (name === queue ? n : []))
  const every = (first: number): number[] => Array.from({ length: 20 }, (_, index) => first + index * 3)
  assert.equal([of('one'), of('two'), of(null).sort((a, b) => a - b)], [every(3), every(1), every(2)])
})

test('lets limits hold for the jobs that waited without a queue', async () => {
  const database = await beforeIt()
  await using background = createBackground({ connection: database.url })
  await background.migrate()
  let [running, most, ended] = [0, 0, 0]
  const Count = defineTask({
    name: 'Count',
    limit: { concurrency: 2 },
    async run(_: object, { job }) {
      if (job.queue === null) most = Math.max(most, ++running)
      await new Promise(resolve => setImmediate(resolve))
      if (job.queue === null) running--
      ended++
    }
  })
  await work(database, { tasks: { Count }, ...POLL })
  await until(() => ended === 60)
  assert.is(most, 2)
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
      select proname, prosrc, proargnames from pg_proc where pronamespace = 'kretes'::regnamespace order by 1`)
  ]
  const parts = await partsOf(sql)
  assert.equal(parts, await partsOf(fresh))
  for (const part of ['kretes_lanes', 'claim_lanes', 'leases', 'declared_limits', 'limit_key'])
    assert.ok(JSON.stringify(parts).includes(part), part)
})

test('makes the views anew: those of the step before lack limits', async () => {
  const { sql, url } = await beforeIt()
  await using background = createBackground({ connection: url })
  await background.migrate()
  await sql`drop view kretes.limits`
  for (const view of ['jobs', 'runs', 'rates', 'tasks', 'queues', 'schedules', 'pauses'])
    await sql.unsafe(`comment on view kretes.${view} is 'kretes, views of version ${NEWEST_VIEWS - 1}'`)
  assert.is((await background.migrate()).hasChanged, true)
  assert.equal([...(await sql`select * from kretes.limits`)], [])
  assert.equal(
    (await background.doctor()).findings.map(({ code }) => code),
    ['no-worker']
  )
})

test('happens once although workers and programs start at the same time', async () => {
  const database = await beforeIt()
  let ended = 0
  const Count = defineTask({ name: 'Count', limit: { concurrency: 3 }, run: () => void ended++ })
  await using background = createBackground({ connection: database.url })
  const [job] = await Promise.all([
    background.schedule({ task: Count, delay: '1h' }),
    background.migrate(),
    ...[1, 2, 3].map(() => work(database, { tasks: { Count }, ...POLL }))
  ])
  assert.is(job.queue, null)
  await until(async () => (await countJobs(database)) === 2)
  assert.is(ended, 60)
  const steps = await database.sql`select id from kretes.migrations where id > ${BEFORE}`
  assert.equal(
    steps.map(({ id }) => id),
    migrations.flatMap(({ id }) => (id > BEFORE ? id : []))
  )
})
