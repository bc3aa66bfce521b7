import { createBackground } from '../../src/background.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { countJobs, fill, work } from './work.ts'

const test = suite('the plans of the statements that a worker repeats')

/** How many jobs wait in the end behind those that run. */
const WAITING = 20_000

for (const ledger of [undefined, false] as const) {
  test(`made while no job waited do not read all that wait later, ${ledger === false ? 'without' : 'with'} a ledger`, async () => {
    const database = await createDatabase()
    const { sql } = database
    await using background = createBackground({ connection: database.url })
    await background.migrate()
    await sql`alter table graphile_worker._private_jobs set (autovacuum_enabled = off)`
    // Now the planner knows that the table is empty.
    await sql`vacuum analyze graphile_worker._private_jobs`
    let ran = 0
    const tasks = { Count: () => void ran++ }
    const worker = await work(database, { tasks, ledger, concurrency: 1 })
    // A plan is kept from the sixth time on.
    for (let count = 1; count <= 20; count++) {
      await fill(database, 'Count', 1)
      await until(() => ran === count)
    }
    await sql`
      insert into graphile_worker._private_jobs (task_id, payload, run_at)
      select (select id from graphile_worker._private_tasks where identifier = 'Count'), '{}', now() + interval '1 day'
      from generate_series(1, ${WAITING})`
    for (let count = 21; count <= 60; count++) {
      await fill(database, 'Count', 1)
      await until(() => ran === count)
    }
    await until(async () => (await countJobs(database)) === WAITING)
    await worker.stop()

    // A connection tells the server what it read when it ends, and not every server knows it at once.
    const statistics = await until(
      async () => {
        const [row] = await sql<{ read: number; deleted: number }[]>`
          select seq_tup_read::int as read, n_tup_del::int as deleted
          from pg_stat_user_tables where schemaname = 'graphile_worker' and relname = '_private_jobs'`
        return row && row.deleted >= 60 ? row : undefined
      },
      { what: 'the statistics of the connections' }
    )
    // Others than the engine look over all of them now and then.
    assert.ok(statistics && statistics.read < 50 * WAITING, `${statistics?.read} rows were read one after another`)
  })
}
