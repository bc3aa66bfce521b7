import { chooseDatabase, describeUrl } from '../../src/database/choose.ts'
import { BackgroundError } from '../../src/errors.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('the choice of a database')
const urls = suite('connection strings')

const everything = { DATABASE_URL: 'postgres://a@url/b', PGHOST: 'host', PGDATABASE: 'name', NODE_ENV: 'production' }

test('is what the caller names, then DATABASE_URL, then PG*, then the embedded server', async () => {
  const { sql } = await createDatabase()
  const { DATABASE_URL: _, ...withoutUrl } = everything
  assert.equal(chooseDatabase('postgres://c@option/d', everything), { origin: 'option', url: 'postgres://c@option/d' })
  assert.is(chooseDatabase(new URL('postgresql://c@option/d'), everything).url, 'postgresql://c@option/d')
  assert.is(chooseDatabase(sql, everything).client, sql)
  assert.equal(chooseDatabase(undefined, everything), { origin: 'DATABASE_URL', url: 'postgres://a@url/b' })
  assert.equal(chooseDatabase(undefined, withoutUrl), { origin: 'PG*' })
  assert.equal(chooseDatabase(undefined, { PGHOST: 'host' }), { origin: 'PG*' })
  assert.equal(chooseDatabase(undefined, { PGDATABASE: 'name' }), { origin: 'PG*' })
  assert.equal(chooseDatabase(undefined, { PGUSER: 'user', DATABASE_URL: '' }), { origin: 'embedded' })
  assert.equal(chooseDatabase(undefined, { NODE_ENV: 'test' }), { origin: 'embedded' })
})

test('is never silently the embedded server in production', () => {
  assert.throws(
    () => chooseDatabase(undefined, { NODE_ENV: 'production' }),
    (error: unknown) =>
      error instanceof BackgroundError &&
      error.code === 'NO_DATABASE' &&
      error.message ===
        'Cannot choose a database: NODE_ENV is production and none is named. Set DATABASE_URL to its connection string'
  )
})

const refused: [string, string | undefined, string | undefined, string][] = [
  ['no URL', 'secret words', undefined, 'the connection: it is not a URL such as postgres://user@host/database'],
  ['another scheme', 'mysql://u:secret@h/d', undefined, 'the connection: its scheme is mysql, not postgres'],
  ['an empty string', '', undefined, 'the connection: it is not a URL such as postgres://user@host/database'],
  [
    'no URL in DATABASE_URL',
    undefined,
    'secret@host',
    'DATABASE_URL: it is not a URL such as postgres://user@host/database'
  ],
  [
    'a % that stands for itself',
    'postgres://u:secret%w@h/d',
    undefined,
    'the connection: a % in its password is not followed by two hexadecimal digits; write it as %25'
  ],
  [
    'a % at the end of a name in DATABASE_URL',
    undefined,
    'postgres://u:secret@h/d%2',
    'DATABASE_URL: a % in its database is not followed by two hexadecimal digits; write it as %25'
  ],
  [
    'bytes that are no text',
    'postgres://u%ff:secret@h/d',
    undefined,
    'the connection: the % escapes in its user are not valid UTF-8'
  ]
]
for (const [what, connection, fromEnvironment, reason] of refused) {
  test(`refuses ${what} without repeating it`, () => {
    assert.throws(
      () => chooseDatabase(connection, { DATABASE_URL: fromEnvironment }),
      (error: unknown) => error instanceof TypeError && error.message === `Cannot use ${reason}`
    )
  })
}

test('takes what is written with %, and a % in a parameter', () => {
  const url = 'postgres://%C3%BC:100%25@h/d%20e?application_name=100%'
  assert.is(chooseDatabase(url, {}).url, url)
})

const described: [string | undefined, Record<string, string>, string][] = [
  ['postgres://ada:secret@db.example.com:5433/app?sslmode=require&password=secret', {}, 'ada@db.example.com:5433/app'],
  ['postgres://db.example.com/app', {}, 'db.example.com/app'],
  ['postgres:///app', {}, 'localhost/app'],
  [undefined, { PGHOST: 'db', PGPORT: '5433', PGDATABASE: 'app', PGPASSWORD: 'secret' }, 'db:5433/app'],
  [undefined, { PGDATABASE: 'app' }, 'localhost/app'],
  [undefined, { PGHOST: 'db', PGUSER: 'ada' }, 'db/ada']
]
for (const [url, environment, label] of described) {
  urls(`are described without password and parameters: ${label}`, () => {
    assert.is(describeUrl(url, environment), label)
  })
}
