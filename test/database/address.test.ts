import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Environment, readAddress } from '../../src/database/address/address.ts'
import { optionsForPg, optionsForPostgres } from '../../src/database/address/drivers.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('a connection string')

const places: [url: string | undefined, env: Environment, hosts: string, user: string, database: string][] = [
  ['postgres://ada@db.example.com:5433/app', {}, 'db.example.com:5433', 'ada', 'app'],
  ['postgresql://ada@[::1]:5433/app', {}, '::1:5433', 'ada', 'app'],
  ['postgres://ada@[2001:db8::1]/app', {}, '2001:db8::1:5432', 'ada', 'app'],
  ['postgres:///app?host=/var/run/postgresql&user=ada', {}, '/var/run/postgresql:5432', 'ada', 'app'],
  ['postgres://ada@%2Fvar%2Frun%2Fpostgresql:5433/app', {}, '/var/run/postgresql:5433', 'ada', 'app'],
  ['postgres://ada@h/my%20app', {}, 'h:5432', 'ada', 'my app'],
  ['postgres://%C3%BC%40b:p%2Fw@h/a%2Fb', {}, 'h:5432', 'ü@b', 'a/b'],
  ['postgres://ada:se#c?r@et@h/app', {}, 'h:5432', 'ada', 'app'],
  ['postgres://ada@h', {}, 'h:5432', 'ada', 'ada'],
  ['postgres://ada@h?dbname=app&port=5433', {}, 'h:5433', 'ada', 'app'],
  ['postgres://ada@other/app?host=h&user=bob', {}, 'h:5432', 'bob', 'app'],
  ['postgres://ada@one:1,two,[::1]:3/app', {}, 'one:1 two:5432 ::1:3', 'ada', 'app'],
  ['postgres://ada@/app?host=one,two&port=1,2', {}, 'one:1 two:2', 'ada', 'app'],
  ['postgres://', { PGUSER: 'ada' }, 'localhost:5432', 'ada', 'ada'],
  ['postgres://h', { PGUSER: 'ada', PGPORT: '5433', PGDATABASE: 'app', PGHOST: 'no' }, 'h:5433', 'ada', 'app'],
  [undefined, { PGUSER: 'ada', PGHOST: '/tmp', PGDATABASE: 'my app' }, '/tmp:5432', 'ada', 'my app']
]
for (const [url, env, hosts, user, database] of places) {
  test(`says where and who: ${url ?? JSON.stringify(env)}`, () => {
    const address = readAddress(url, env)
    assert.is(address.hosts.map(({ name, port }) => `${name}:${port}`).join(' '), hosts)
    assert.equal([address.user, address.database], [user, database])
  })
}

const refused: [url: string, env: Environment, reason: string][] = [
  [
    'postgres://a@h/d?sslmod=require',
    {},
    'it has the parameter "sslmod", which PostgreSQL does not know. Did you mean sslmode?'
  ],
  [
    'postgres://a@h/d?lock_timeuot=1',
    {},
    'it has the parameter "lock_timeuot", which PostgreSQL does not know. Did you mean lock_timeout?'
  ],
  ['postgres://a@h/d?nonsense=1', {}, 'it has the parameter "nonsense", which PostgreSQL does not know'],
  [
    'postgres://a@h/d?sslmode=on',
    {},
    'its sslmode is "on", none of disable, allow, prefer, require, no-verify, verify-ca, verify-full'
  ],
  [
    'postgres://a@h/d',
    { PGSSLMODE: 'on' },
    'PGSSLMODE is "on", none of disable, allow, prefer, require, no-verify, verify-ca, verify-full'
  ],
  ['postgres://a@h/d?service=x', {}, 'its service is "x", which is not supported'],
  ['postgres://a@h/d?client_encoding=LATIN1', {}, 'its client_encoding is "LATIN1", not UTF8'],
  ['postgres://a@h/d?connect_timeout=soon', {}, 'its connect_timeout is "soon", not a whole number of seconds'],
  ['postgres://a@h:0x15/d', {}, 'its port is "0x15", not a number from 1 to 65535'],
  ['postgres://a@h:70000/d', {}, 'its port is "70000", not a number from 1 to 65535'],
  ['postgres://a@::1/d', {}, 'its host is not valid: write an IPv6 address in brackets, as in [::1]'],
  ['postgres://a@one,two/d?port=1,2,3', {}, 'it has 2 hosts and 3 ports'],
  ['postgres://a@h/d?verbose', {}, 'its parameter "verbose" is not written as name=value']
]
for (const [url, env, reason] of refused) {
  test(`is refused with the reason: ${reason}`, () => {
    assert.throws(
      () => readAddress(url, env),
      (error: unknown) => {
        return error instanceof TypeError && error.message === `Cannot use the connection: ${reason}`
      }
    )
  })
}

test('takes what others write there for themselves, and hands settings alone to the server', () => {
  const url =
    'postgres://a@h/d?schema=public&pgbouncer=true&connection_limit=5&uselibpqcompat=true&channel_binding=require' +
    '&keepalives=1&lock_timeout=300&TimeZone=Europe/Berlin&search_path=a,%20b&app.tenant=7&enable_sort=off&options=-c%20geqo%3Doff'
  const address = readAddress(url, {})
  const { connection } = optionsForPostgres(address, 'kretes')
  assert.equal(connection, {
    lock_timeout: '300',
    TimeZone: 'Europe/Berlin',
    search_path: 'a, b',
    'app.tenant': '7',
    enable_sort: 'off',
    options: '-c geqo=off',
    application_name: 'kretes'
  })
  assert.is(
    optionsForPg(address, 'kretes')[0]?.options,
    '-c geqo=off -c lock_timeout=300 -c TimeZone=Europe/Berlin -c search_path=a,\\ b -c app.tenant=7 -c enable_sort=off'
  )
})

const tls: [parameters: string, env: Environment, expected: unknown][] = [
  ['', {}, false],
  ['sslmode=disable', { PGSSLMODE: 'require' }, false],
  ['sslmode=allow', {}, 'prefer'],
  ['sslmode=prefer', {}, 'prefer'],
  ['sslmode=require', {}, false],
  ['ssl=true', {}, false],
  ['sslmode=no-verify', {}, false],
  ['channel_binding=require', {}, false],
  ['', { PGSSLMODE: 'require' }, false],
  ['sslmode=verify-full', {}, true],
  ['sslrootcert=system', {}, true],
  ['sslmode=require&sslrootcert=system', {}, true]
]
for (const [parameters, env, expected] of tls) {
  test(`means by "${parameters}" and ${JSON.stringify(env)} what libpq means`, () => {
    const { ssl } = optionsForPostgres(readAddress(`postgres://a@h/d?${parameters}`, env), 'kretes')
    const isNone = parameters.includes('disable') || (parameters === '' && !env.PGSSLMODE)
    if (isNone || expected === 'prefer') assert.is(ssl, expected)
    else assert.is(typeof ssl === 'object' && ssl.rejectUnauthorized, expected)
    const socket = readAddress(`postgres://a@%2Ftmp/d?${parameters}`, env)
    assert.is(optionsForPg(socket, 'kretes')[0]?.ssl, false)
  })
}

test('has names of its own for connections only where nobody names them', () => {
  const named = (url: string, env: Environment = {}): unknown =>
    optionsForPg(readAddress(url, env), 'kretes worker')[0]?.application_name
  assert.is(named('postgres://a@h/d'), 'kretes worker')
  assert.is(named('postgres://a@h/d', { PGAPPNAME: 'shop' }), 'shop')
  assert.is(named('postgres://a@h/d?application_name=100%', { PGAPPNAME: 'shop' }), '100%')
})

test('finds its password in itself, in PGPASSWORD and in a password file that is for its owner alone', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'kretes-pass-'))
  onceDone(() => rm(directory, { recursive: true }))
  const PGPASSFILE = join(directory, 'pass')
  const lines = [
    '# comment',
    'h:5432:other:*:no',
    'h:*:d:a:one\\:two\\\\',
    '::1:5432:d:a:no',
    '\\:\\:1:5432:d:*:six',
    '/tmp:*:*:*:socket'
  ]
  await writeFile(PGPASSFILE, `${lines.join('\n')}\n`, { mode: 0o600 })
  const passwordOf = (url: string, env: Environment = { PGPASSFILE }): unknown => {
    const address = readAddress(url, env)
    const [pg] = optionsForPg(address, 'kretes')
    assert.is(optionsForPostgres(address, 'kretes').password, pg?.password)
    return pg?.password
  }
  assert.is(passwordOf('postgres://a:own@h/d', { PGPASSFILE, PGPASSWORD: 'env' }), 'own')
  assert.is(passwordOf('postgres://a@h/d', { PGPASSFILE, PGPASSWORD: 'env' }), 'env')
  assert.is(passwordOf('postgres://a@h/d'), 'one:two\\')
  assert.is(passwordOf(`postgres://a@h/d?passfile=${PGPASSFILE}`, {}), 'one:two\\')
  assert.is(passwordOf('postgres://a@[::1]/d'), 'six')
  assert.is(passwordOf('postgres://a@%2Ftmp/d'), 'socket')
  assert.is(passwordOf('postgres://a@elsewhere/d'), '')
  if (process.platform === 'win32') return
  await chmod(PGPASSFILE, 0o644)
  assert.is(passwordOf('postgres://a@h/d'), '')
})
