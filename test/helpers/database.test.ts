import { createDatabase } from './database.ts'
import { assert, suite } from './suite.ts'

const test = suite('createDatabase()')

test('gives each caller a database of its own', async () => {
  const [a, b] = await Promise.all([createDatabase(), createDatabase()])
  await a.sql`create table only_here (id int)`
  const tables = await b.sql`select from pg_tables where tablename = 'only_here'`
  assert.is(tables.length, 0)
  assert.is.not(a.url, b.url)
})

test('gives a database that is migrated, or an empty one', async () => {
  const databases = await Promise.all([createDatabase(), createDatabase({ isEmpty: true })])
  const schemas = databases.map(
    ({ sql }) => sql`select from pg_namespace where nspname in ('kretes', 'graphile_worker')`
  )
  assert.equal(
    (await Promise.all(schemas)).map(({ length }) => length),
    [2, 0]
  )
})

test('drops a database that is still in use', async () => {
  const [database, other] = await Promise.all([createDatabase(), createDatabase()])
  await database.sql`select 1`
  await database.drop()
  const left = await other.sql`select from pg_database where datname = ${database.name}`
  assert.is(left.length, 0)
})

test('runs on the version of PostgreSQL that was asked for', async () => {
  const { sql } = await createDatabase()
  const [row] = await sql`show server_version_num`
  assert.is(Math.floor(Number(row?.server_version_num) / 10_000), Number(process.env.KRETES_TEST_POSTGRES || 18))
})
