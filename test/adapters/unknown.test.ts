import pg from 'pg'
import { Background, createBackground, type ForeignTransaction } from '../../mod.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createUnconnected, failureOf } from './library.ts'

const test = suite('with(), given what is of no library that it knows,')
const database = await createDatabase()
const background = createUnconnected()

test('refuses what cannot run a statement, and says what can', () => {
  const given: unknown[] = [undefined, null, 42, 'begin', [], {}, new Map(), () => {}, { query: 'x' }, { execute() {} }]
  for (const value of given) {
    assert.throws(
      () => background.with(value as ForeignTransaction),
      (error: Error) =>
        error instanceof TypeError &&
        error.message ===
          'Cannot schedule in a transaction: the argument is none of postgres.js, Bun, node-postgres, Drizzle, Kysely, Prisma, Knex or TypeORM, and has no query(text, values)'
    )
  }
})

test('takes anything with a query(text, values), be its answer rows or an object with them', async () => {
  await using owner = createBackground({ connection: database.url })
  await owner.migrate()
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  onceDone(() => client.end())
  const drivers = [
    { query: async (text: string, values: string[]) => (await client.query(text, values)).rows },
    { query: async (text: string, values: string[]) => ({ rows: (await client.query(text, values)).rows }) }
  ]
  for (const [index, driver] of drivers.entries()) {
    await client.query('begin')
    await createUnconnected()
      .with(driver)
      .schedule({ task: 'SendEmail', key: `${index}` })
    assert.is((await database.sql`select from graphile_worker.jobs where key = ${index}`).count, 0)
    await client.query('commit')
    assert.is((await database.sql`select from graphile_worker.jobs where key = ${index}`).count, 1)
  }
})

test('says so if the answer has no rows', async () => {
  for (const answer of [undefined, null, 1, {}, { rows: 1 }]) {
    const failure = await failureOf(
      createUnconnected()
        .with({ query: async () => answer })
        .schedule({ task: 'SendEmail' })
    )
    assert.instance(failure, TypeError)
    assert.is(
      failure.message,
      'Cannot schedule in a transaction: its query(text, values) resolves neither to rows nor to { rows }'
    )
  }
})

/** Compiled, never run: what is surely no transaction. */
export function refused(): void {
  // @ts-expect-error: nothing to run a statement with
  Background.with({})
  // @ts-expect-error: no object at all
  Background.with('begin')
  // @ts-expect-error: a list of things
  Background.with([])
  // @ts-expect-error: the transaction's promise
  Background.with(Promise.resolve({ query() {} }))
}
