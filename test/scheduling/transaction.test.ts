import pg from 'pg'
import type { TransactionSql } from 'postgres'
import { createBackground } from '../../src/background.ts'
import type { ForeignTransaction } from '../../src/enqueue/adapters.ts'
import { Queue } from '../../src/queue.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite("with() a transaction of the caller's")
const refusal = suite('with() refuses')

const { sql, url } = await createDatabase()
const background = createBackground({ connection: url, defaults: { priority: 7 } })
onceDone(() => background.close())
await background.migrate()

const client = new pg.Client({ connectionString: url })
await client.connect()
onceDone(() => client.end())

class Undo extends Error {}

/** Runs work in a transaction, which ends as the work does. */
type Run = (work: (transaction: ForeignTransaction) => Promise<unknown>) => Promise<unknown>
const runs: Record<string, Run> = {
  'postgres.js': work => sql.begin(transaction => work(transaction)),
  'node-postgres': async work => {
    await client.query('begin')
    try {
      await work(client)
      await client.query('commit')
    } catch (error) {
      await client.query('rollback')
      throw error
    }
  }
}

for (const [name, run] of Object.entries(runs)) {
  const task = name === 'postgres.js' ? 'OfPostgres' : 'OfPg'
  const ids = async (): Promise<string[]> => {
    const rows = await sql<{ id: string }[]>`
      select id from graphile_worker.jobs where task_identifier = ${task} order by id`
    return rows.map(({ id }) => id)
  }

  test(`of ${name}, a job is there once it is committed, and not before`, async () => {
    let id = ''
    await run(async transaction => {
      const job = await background.with(transaction).schedule({ task, payload: { n: 1 }, queue: Queue.for(name) })
      assert.is(job.queue, name)
      assert.is(job.priority, 7)
      assert.instance(job.runAt, Date)
      id = job.id
      assert.equal(await ids(), [])
    })
    assert.equal(await ids(), [id])
  })

  test(`of ${name}, no job is there after a rollback, 100 times out of 100`, async () => {
    const before = await ids()
    for (let n = 0; n < 100; n++) {
      const error = await run(async transaction => {
        await background.with(transaction).schedule({ task, payload: { n } })
        throw new Undo()
      }).catch(thrown => thrown)
      assert.instance(error, Undo)
    }
    assert.equal(await ids(), before)
  })

  test(`of ${name}, everything else goes with it too`, async () => {
    const before = await ids()
    const waiting = await background.schedule({ task, delay: '1h' })
    await run(async transaction => {
      const within = background.with(transaction)
      await within.unschedule(waiting)
      const moved = await within.schedule({ task, delay: '1h', key: `${task} moved` })
      assert.is((await within.reschedule(moved, { priority: -1 })).priority, -1)
      const jobs = await within.scheduleMany({ task, payloads: Array.from({ length: 1_500 }, (_, n) => ({ n })) })
      assert.is(new Set(jobs.map(({ id }) => id)).size, 1_500)
      throw new Undo()
    }).catch(error => assert.instance(error, Undo))
    assert.equal(await ids(), [...before, waiting.id])
  })
}

test('ends with a savepoint that is rolled back, and lives on after it', async () => {
  const [kept, gone] = await sql.begin(async transaction => {
    const first = await background.with(transaction).schedule({ task: 'Savepoint' })
    let second = ''
    await transaction
      .savepoint(async (savepoint: TransactionSql) => {
        second = (await background.with(savepoint).schedule({ task: 'Savepoint' })).id
        throw new Undo()
      })
      .catch(error => assert.instance(error, Undo))
    return [first.id, second]
  })
  assert.ok(kept && gone)
  const rows = await sql`select id from graphile_worker.jobs where task_identifier = 'Savepoint'`
  assert.equal([...rows], [{ id: kept }])
})

test('does not bring the schema up to date, and says that it is missing', async () => {
  const other = await createDatabase()
  const there = createBackground({ connection: other.url })
  const error = await other.sql
    .begin(transaction => there.with(transaction).schedule({ task: 'Early' }))
    .catch(thrown => thrown)
  assert.is(error.code, 'MIGRATION')
  assert.is(error.cause.code, '3F000')
  const schemas = await other.sql`select from pg_namespace where nspname = 'graphile_worker'`
  assert.is(schemas.length, 0)
  await there.close()
})

test('leaves how the transaction plans its statements alone', async () => {
  await sql.begin(async transaction => {
    await background.with(transaction).schedule({ task: 'Plan' })
    await background.with(transaction).scheduleMany([{ task: 'Plan', key: 'plan', runAt: new Date(2e12) }])
    const [row] = await transaction`show plan_cache_mode`
    assert.equal(row, { plan_cache_mode: 'auto' })
  })
})

const pool = new pg.Pool({ connectionString: url })
onceDone(() => pool.end())
const noTransactions: [string, unknown, RegExp][] = [
  ['a client of postgres.js', sql, /is a client of postgres\.js or Bun, not a transaction\. Pass /],
  ['a pool of node-postgres', pool, /is a pool of node-postgres, not a transaction\. Pass /],
  ['nothing', undefined, /is none of postgres.js, Bun, node-postgres, Drizzle, Kysely, Prisma, Knex or TypeORM/],
  ['an object that can do nothing', {}, /has no query\(text, values\)$/],
  ['a text', 'begin', /has no query\(text, values\)$/]
]
for (const [what, transaction, message] of noTransactions) {
  refusal(what, () => {
    assert.throws(
      () => background.with(transaction as ForeignTransaction),
      (error: unknown) => error instanceof TypeError && message.test(error.message)
    )
  })
}
