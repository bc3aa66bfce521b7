import { createBackground } from '../../src/background.ts'
import { executeIn } from '../../src/database/connections/session.ts'
import { migrate } from '../../src/database/migrate.ts'
import { openDatabase } from '../../src/database/open.ts'
import { applyMigration, createMigrationTable, migrations } from '../../src/sql/database/migrations.ts'
import { defineTask } from '../../src/task.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { countJobs } from '../worker/work.ts'
import { noting, POLL, stopWorkers, work } from './prepare.ts'

const test = suite('the migration that lets tasks and queues be paused')
test.after.each(stopWorkers)

/** The last step before it. */
const BEFORE = 12

/** A database as that step left it, with jobs that wait, a worker and a recurring job. */
async function beforeIt(): Promise<TestDatabase> {
  const database = await createDatabase({ isEmpty: true })
  const { sql } = database
  await migrate(await openDatabase({ connection: database.url }), 'graphile_worker')
  await sql`drop schema kretes cascade`
  await sql`drop index graphile_worker.jobs_main_index`
  await sql`
    create index jobs_main_index on graphile_worker._private_jobs (priority, run_at) include (id, task_id)
    where is_available and job_queue_id is null`
  await createMigrationTable(executeIn(sql), 'kretes')
  for (const step of migrations.filter(({ id }) => id <= BEFORE))
    await sql.begin(session => applyMigration(executeIn(session), step, 'kretes', 'graphile_worker'))
  await sql`
    select graphile_worker.add_job(case when n % 2 = 0 then 'Count' else 'Other' end, json_build_object('n', n),
      queue_name => case when n % 3 = 0 then 'one' end, run_at => now() - interval '1 hour' + n * interval '1 s')
    from generate_series(1, 60) n`
  await sql`insert into kretes.workers (id, host, pid, concurrency, tasks) values ('old', 'here', 1, 1, '{Count}')`
  await sql`
    insert into kretes.recurring (name, task, payload, every_ms, time_zone, most_missed, overlap, jitter_ms, next_at)
    values ('often', 'Count', '{}', 3600000, 'UTC', 1, 'allow', 0, now() + interval '1 hour')`
  return database
}

test('keeps jobs, workers and recurring jobs, and all of them go on', async () => {
  const database = await beforeIt()
  const { sql } = database
  const [steps] =
    await sql`select max(id) as id, to_regclass('kretes.paused') is null as "isMissing" from kretes.migrations`
  assert.equal(steps, { id: BEFORE, isMissing: true })
  await using background = createBackground({ connection: database.url })
  assert.is((await background.migrate()).hasChanged, true)
  assert.is((await background.migrate()).hasChanged, false)
  assert.is(await countJobs(database), 60)
  // An older worker has registered neither versions nor queues.
  const { workers, pauses } = await background.status()
  assert.equal([workers.map(({ id }) => id), pauses], [['old'], []])
  const newer = await background.schedule({
    task: defineTask({ name: 'Count', version: 2, run: () => {} }),
    payload: { n: 0 }
  })
  assert.is((await background.why(newer)).reasons[0]?.code, 'newer-version')
  await background.cancel(newer)
  await sql`delete from kretes.workers`
  const { ran, tasks } = noting('Count', 'Other')
  await background.pause({ task: 'Other' })
  await work(database, { tasks, ...POLL })
  await until(async () => (await countJobs(database)) === 30)
  await background.resume({ task: 'Other' })
  await until(async () => (await countJobs(database)) === 0)
  assert.is(ran.length, 60)
  assert.is((await background.recurring.runNow('often')).schedule, 'often')
  await until(() => ran.length === 61)
})

test('lets the main index begin with the task, as in a new database', async () => {
  const { sql, url } = await beforeIt()
  await using background = createBackground({ connection: url })
  await background.migrate()
  const { sql: fresh } = await createDatabase()
  const indexesOf = async (client: TestDatabase['sql']): Promise<string[]> => {
    const rows = await client`
      select indexdef from pg_indexes where schemaname = 'graphile_worker' and tablename = '_private_jobs' order by 1`
    return rows.map(({ indexdef }) => indexdef)
  }
  const indexes = await indexesOf(sql)
  assert.equal(indexes, await indexesOf(fresh))
  assert.match(
    indexes.find(index => index.includes('jobs_main_index')) ?? '',
    /\(task_id, priority, run_at\) INCLUDE \(id\)/
  )
})

test('happens once although workers and programs start at the same time', async () => {
  const database = await beforeIt()
  const { tasks } = noting('Count', 'Other')
  await using first = createBackground({ connection: database.url })
  const [pause] = await Promise.all([
    first.migrate().then(() => first.pause({ queue: 'none' })),
    ...[1, 2, 3].map(() => work(database, { tasks, ...POLL }))
  ])
  assert.is(pause.kind, 'queue')
  await until(async () => (await countJobs(database)) === 0)
  const steps = await database.sql`select id from kretes.migrations where id > ${BEFORE}`
  assert.equal(
    steps.map(({ id }) => id),
    migrations.flatMap(({ id }) => (id > BEFORE ? id : []))
  )
})
