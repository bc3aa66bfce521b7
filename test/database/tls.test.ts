import { execFile } from 'node:child_process'
import { appendFile, chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import postgres from 'postgres'
import { createBackground } from '../../src/background.ts'
import { readAddress } from '../../src/database/address/address.ts'
import { optionsForPg } from '../../src/database/address/drivers.ts'
import { connect } from '../../src/database/open.ts'
import { onceDone } from '../helpers/cleanup.ts'
import type { TestDatabase } from '../helpers/database.ts'
import { startServer } from '../helpers/server.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createRecorder, work } from '../worker/work.ts'

const test = suite('both drivers')
const run = promisify(execFile)

const directory = await mkdtemp(join(tmpdir(), 'kretes-tls-'))
onceDone(() => rm(directory, { recursive: true }))
await chmod(directory, 0o777)
const file = (name: string): string => join(directory, name)
await makeCertificates()
const server = await startServer({
  settings: {
    listen_addresses: '127.0.0.1,::1',
    unix_socket_directories: directory,
    ssl: 'on',
    ssl_cert_file: file('server.crt'),
    ssl_key_file: file('server.key'),
    ssl_ca_file: file('ca.crt')
  }
})
onceDone(() => server.stop())
const sql = postgres(server.url, { max: 1, onnotice: () => {} })
onceDone(() => sql.end({ timeout: 1 }))
const plain = await startServer()
onceDone(() => plain.stop())

await sql.unsafe("create role certified login; create role tls login; create role locked login password 'secret %/'")
await sql.unsafe('create database "my app"')
await letIn(['hostssl all certified all cert', 'hostnossl all tls all reject', 'host all locked all scram-sha-256'])

const { port } = server
const ca = `sslrootcert=${file('ca.crt')}`
const TLS = 'encrypted'
const PLAIN = 'not encrypted'

/** What each says who connects: how it was let in, or why it was not. */
const cases: [what: string, url: string, expected: string | RegExp][] = [
  ['without sslmode', `postgres://postgres@127.0.0.1:${port}/postgres`, PLAIN],
  ['with sslmode=disable', `postgres://postgres@127.0.0.1:${port}/postgres?sslmode=disable`, PLAIN],
  ['with sslmode=prefer', `postgres://postgres@127.0.0.1:${port}/postgres?sslmode=prefer`, TLS],
  ['with sslmode=require', `postgres://postgres@localhost:${port}/postgres?sslmode=require`, TLS],
  ['with sslmode=no-verify', `postgres://postgres@localhost:${port}/postgres?sslmode=no-verify`, TLS],
  [
    'with channel_binding=require',
    `postgres://locked:secret%20%25%2F@localhost:${port}/postgres?sslmode=require&channel_binding=require`,
    TLS
  ],
  ['with ssl=true', `postgres://postgres@localhost:${port}/postgres?ssl=true`, TLS],
  [
    'with sslmode=verify-ca',
    `postgres://postgres@127.0.0.2:${port}/postgres?hostaddr=127.0.0.1&sslmode=verify-ca&${ca}`,
    TLS
  ],
  ['with sslmode=verify-full', `postgres://postgres@localhost:${port}/postgres?sslmode=verify-full&${ca}`, TLS],
  [
    'with sslmode=verify-full and an address',
    `postgres://postgres@127.0.0.1:${port}/postgres?sslmode=verify-full&${ca}`,
    TLS
  ],
  [
    'with sslmode=verify-full and the name of another',
    `postgres://postgres@other.example:${port}/postgres?hostaddr=127.0.0.1&sslmode=verify-full&${ca}`,
    /ERR_TLS_CERT_ALTNAME_INVALID/
  ],
  [
    'with sslmode=verify-full and no authority that is trusted',
    `postgres://postgres@localhost:${port}/postgres?sslmode=verify-full`,
    /CERT|SELF_SIGNED|LEAF/
  ],
  [
    'with sslmode=require and an authority that is not its',
    `postgres://postgres@localhost:${port}/postgres?sslmode=require&sslrootcert=${file('other.crt')}`,
    /CERT|SELF_SIGNED|LEAF/
  ],
  [
    'with sslmode=require and its authority, under another name',
    `postgres://postgres@other.example:${port}/postgres?hostaddr=127.0.0.1&sslmode=require&${ca}`,
    TLS
  ],
  [
    'with a certificate of its own',
    `postgres://certified@localhost:${port}/postgres?sslmode=require&sslcert=${file('certified.crt')}&sslkey=${file('certified.key')}`,
    TLS
  ],
  [
    'without the certificate that is asked for',
    `postgres://certified@localhost:${port}/postgres?sslmode=require`,
    /28000/
  ],
  [
    'with sslnegotiation=direct',
    `postgres://postgres@localhost:${port}/postgres?sslmode=require&sslnegotiation=direct`,
    Number(process.env.KRETES_TEST_POSTGRES || 18) < 17 ? /./ : TLS
  ],
  [
    'to a server without TLS with sslmode=prefer',
    `postgres://postgres@127.0.0.1:${plain.port}/postgres?sslmode=prefer`,
    PLAIN
  ],
  [
    'to a server without TLS with sslmode=require',
    `postgres://postgres@127.0.0.1:${plain.port}/postgres?sslmode=require`,
    /./
  ],
  ['over IPv6', `postgres://postgres@[::1]:${port}/postgres`, PLAIN],
  ['over IPv6 with sslmode=verify-full', `postgres://postgres@[::1]:${port}/postgres?sslmode=verify-full&${ca}`, TLS],
  ['over a Unix socket', `postgres:///my%20app?host=${directory}&port=${port}&user=postgres`, PLAIN],
  [
    'over a Unix socket as host, with sslmode=require',
    `postgres://postgres@${encodeURIComponent(directory)}:${port}/my%20app?sslmode=require`,
    PLAIN
  ],
  ['with a password that has signs in it', `postgres://locked:secret%20%25%2F@127.0.0.1:${port}/my%20app`, PLAIN]
]
for (const [what, url, expected] of cases) {
  test(`connect alike ${what}`, async () => {
    const outcomes = [await byPostgres(url), await byPg(url)]
    for (const outcome of outcomes) {
      if (typeof expected === 'string') assert.is(outcome, expected)
      else assert.not.ok([TLS, PLAIN].includes(outcome), outcome)
      if (expected instanceof RegExp) assert.match(outcome, expected)
    }
  })
}

for (const [what, url, env] of [
  [
    'a Unix socket and a database with a space',
    `postgres:///my%20app?host=${directory}&port=${port}&user=postgres`,
    {}
  ],
  [
    'a user that the server lets in with TLS only, by PGSSLMODE',
    `postgres://tls@localhost:${port}/postgres`,
    { PGSSLMODE: 'require', PGSSLROOTCERT: file('ca.crt') }
  ],
  ['PG* alone', undefined, { PGHOST: directory, PGPORT: String(port), PGUSER: 'postgres', PGDATABASE: 'my app' }],
  [
    'a password file, TLS and channel binding',
    `postgres://locked@localhost:${port}/postgres?sslmode=verify-full&${ca}&channel_binding=require`,
    { PGPASSFILE: file('pass') }
  ],
  [
    'sslmode=prefer and a server that has no TLS',
    `postgres://postgres@127.0.0.1:${plain.port}/postgres?sslmode=prefer`,
    {}
  ],
  ['the second of two servers', `postgres://postgres@127.0.0.1:1,127.0.0.1:${plain.port}/postgres`, {}]
] as [string, string | undefined, Record<string, string>][]) {
  test(`have an app and a worker get along with ${what}`, async () => {
    await sql.unsafe('grant all on database postgres, "my app" to locked, tls')
    Object.assign(process.env, env)
    try {
      const logger = createRecorder()
      let ran = 0
      const worker = await work({ url: url as string } as TestDatabase, {
        tasks: { Count: () => void ran++ },
        logger,
        schema: `of_${what.length}`
      })
      await using background = createBackground({ ...(url && { connection: url }), schema: `of_${what.length}` })
      await background.schedule({ task: 'Count' })
      await until(() => ran === 1)
      await worker.stop()
    } finally {
      for (const name of Object.keys(env)) delete process.env[name]
    }
  })
}

const ENCRYPTION = 'select ssl from pg_stat_ssl where pid = pg_backend_pid()'

async function byPostgres(url: string): Promise<string> {
  const client = connect({ url }, { max: 1, name: 'test' })
  try {
    const [row] = await client.unsafe(ENCRYPTION)
    return row?.ssl ? TLS : PLAIN
  } catch (error) {
    return String((error as { code?: string }).code)
  } finally {
    await client.end({ timeout: 0 })
  }
}

async function byPg(url: string): Promise<string> {
  const [options] = optionsForPg(readAddress(url, {}), 'test')
  const attempt = async (ssl: pg.ClientConfig['ssl']): Promise<string> => {
    const client = new pg.Client({ ...options, ssl })
    client.on('error', () => {})
    try {
      await client.connect()
      const { rows } = await client.query(ENCRYPTION)
      return rows[0]?.ssl ? TLS : PLAIN
    } catch (error) {
      return String((error as { code?: string }).code ?? error)
    } finally {
      await client.end().catch(() => {})
    }
  }
  const outcome = await attempt(options?.ssl)
  return options?.isTlsOptional && outcome.includes('does not support SSL') ? await attempt(false) : outcome
}

async function letIn(lines: string[]): Promise<void> {
  const path = join(server.data, 'pg_hba.conf')
  await writeFile(path, `${lines.join('\n')}\n${await readFile(path, 'utf8')}`)
  await sql`select pg_reload_conf()`
  await writeFile(file('pass'), 'localhost:*:*:locked:secret %/\n', { mode: 0o600 })
}

async function makeCertificates(): Promise<void> {
  const openssl = (...args: string[]): Promise<unknown> => run('openssl', args, { cwd: directory })
  const fresh = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  for (const name of ['ca', 'other']) {
    await openssl('req', '-x509', ...fresh, '-keyout', `${name}.key`, '-out', `${name}.crt`, '-subj', `/CN=${name}`)
  }
  await appendFile(file('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\n')
  for (const [name, subject] of [
    ['server', '/CN=localhost'],
    ['certified', '/CN=certified']
  ] as const) {
    await openssl('req', ...fresh, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject)
    await openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.crt',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-days',
      '2',
      '-extfile',
      'names',
      '-out',
      `${name}.crt`
    )
  }
  await chmod(file('server.key'), 0o600)
  if (process.getuid?.() === 0) await run('chown', ['nobody', file('server.key')])
}
