import { createBackground } from '../../src/background.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'

const test = suite('the plans of the statements that schedule')

/** How many jobs there are in the end; a call that looks at each of them reads more rows than it should. */
const FILLING = 5_000

for (const [how, keysOfCalls] of [
  ['one by one', Array.from({ length: 12 }, (_, n) => [`key ${n}`])],
  ['at once', Array.from({ length: 12 }, (_, n) => Array.from({ length: 20 }, (_, m) => `key ${n} ${m}`))]
] as const) {
  test(`made while there was no job do not scan all jobs for a key when there are many, ${how}`, async () => {
    const { sql, url } = await createDatabase()
    await using owner = createBackground({ connection: url })
    await owner.migrate()
    await sql`alter table graphile_worker._private_jobs set (autovacuum_enabled = off)`
    // One connection, which keeps its plans.
    const background = createBackground({ connection: url, maxConnections: 1 })
    const schedule = async (prefix: string): Promise<void> => {
      for (const keys of keysOfCalls) {
        await Promise.all(keys.map(key => background.schedule({ task: 'Keyed', key: `${prefix} ${key}` })))
      }
    }
    await schedule('before')
    await sql`
      insert into graphile_worker._private_jobs (task_id, payload, key)
      select (select id from graphile_worker._private_tasks), '{}', 'filling ' || number
      from generate_series(1, ${FILLING}) number`
    await schedule('after')
    await background.close()

    // A connection tells the server what it read when it ends, and not every server knows it at once.
    const scheduled = 2 * keysOfCalls.flat().length + FILLING
    const statistics = await until(
      async () => {
        const [row] = await sql<{ read: number; added: number }[]>`
          select seq_tup_read::int as read, n_tup_ins::int as added
          from pg_stat_user_tables where schemaname = 'graphile_worker' and relname = '_private_jobs'`
        return row && row.added >= scheduled ? row : undefined
      },
      { what: 'the statistics of the connection' }
    )
    assert.ok(statistics && statistics.read < FILLING, `${statistics?.read} rows were read one after another`)
  })
}
