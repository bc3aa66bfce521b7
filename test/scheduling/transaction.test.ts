import pg from 'pg'
import { createBackground } from '../../src/background.ts'
import type { ForeignTransaction } from '../../src/enqueue/adapters.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite("with() a transaction of the caller's")
const refusal = suite('with() refuses')

const { sql, url } = await createDatabase()
const background = createBackground({ connection: url, defaults: { priority: 7 } })
onceDone(() => background.close())
await background.migrate()

test("hands the Background's defaults to its jobs", async () => {
  await sql.begin(async transaction => {
    assert.is((await background.with(transaction).schedule({ task: 'Default' })).priority, 7)
  })
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
