import { connect, createServer, type Socket } from 'node:net'
import postgres from 'postgres'
import { createBackground } from '../../src/background.ts'
import { BackgroundError } from '../../src/errors.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { startServer } from '../helpers/server.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createRecorder, type Recorder, work } from '../worker/work.ts'

const test = suite('a server that only reads for a while')

/** An app and a worker, which keep their connections. */
async function run(url: string): Promise<{
  readonly logger: Recorder
  schedule(): Promise<string>
  ran(): number
}> {
  const logger = createRecorder()
  const background = createBackground({ connection: url })
  onceDone(() => background.close())
  let ran = 0
  await work({ url } as TestDatabase, { tasks: { Count: () => void ran++ }, logger, pollInterval: '1m' })
  return {
    logger,
    schedule: async () =>
      await background.schedule({ task: 'Count' }).then(
        () => 'scheduled',
        error => (error instanceof BackgroundError ? error.code : String(error))
      ),
    ran: () => ran
  }
}

test('is left for new connections, by apps at once and by workers once it writes', async () => {
  const { sql, url, name } = await createDatabase()
  const { logger, schedule, ran } = await run(url)
  assert.is(await schedule(), 'scheduled')
  await until(() => ran() === 1)
  await sql`alter database ${sql(name)} set default_transaction_read_only = on`
  await sql`
    select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name} and application_name like 'kretes%'`
  await until(async () => (await schedule()) === 'DATABASE_UNAVAILABLE')
  assert.equal(await Promise.all(Array.from({ length: 8 }, schedule)), Array(8).fill('DATABASE_UNAVAILABLE'))
  await until(() => logger.of('database.away').length === 1)
  await until(() => logger.lines.some(({ message }) => message.includes('read-only')))
  await sql.begin(async transaction => {
    await transaction`set transaction read write`
    await transaction`alter database ${sql(name)} reset default_transaction_read_only`
  })
  assert.equal(await Promise.all(Array.from({ length: 8 }, schedule)), Array(8).fill('scheduled'))
  await until(() => ran() === 9)
  await until(() => logger.of('database.back').length === 1)
  assert.is(logger.of('database.away').length, 1)
})

test('is left for the server that took over, also where connections to the old one stay', async () => {
  const primary = await startServer()
  onceDone(() => primary.stop())
  const proxy = await createSwitch(primary.port)
  const { logger, schedule, ran } = await run(proxy.url)
  assert.is(await schedule(), 'scheduled')
  await until(() => ran() === 1)
  const standby = await startServer({ primary })
  onceDone(() => standby.stop())
  const [old, next] = [primary, standby].map(({ url }) => {
    const sql = postgres(url, { max: 1, onnotice: () => {} })
    onceDone(() => sql.end({ timeout: 1 }))
    return sql
  })

  // First the standby has not taken over yet.
  proxy.lead(standby.port, { isAbrupt: true })
  await until(async () => (await schedule()) === 'DATABASE_UNAVAILABLE')
  await until(() => logger.of('database.away').length > 0)
  // The proxy was wrong, and nobody closes what it has opened.
  proxy.lead(primary.port)
  assert.is(await schedule(), 'scheduled')
  await until(() => ran() === 2)
  // On a busy machine, the worker may notice this outage in two parts.
  const [away, back] = [() => logger.of('database.away').length, () => logger.of('database.back').length]
  await until(() => back() === away())
  const outages = away()

  // Then the primary only reads, keeps its connections, and the standby takes over.
  await old!`alter system set default_transaction_read_only = on`
  await old!`select pg_reload_conf()`
  await until(async () => (await schedule()) === 'DATABASE_UNAVAILABLE')
  await until(() => away() > outages)
  await next!`select pg_promote()`
  proxy.lead(standby.port)
  await until(async () => (await schedule()) === 'scheduled')
  const before = ran()
  await until(() => back() > outages)
  await until(() => ran() > 2)
  // Heard of by a notification of the new server: the worker looks by itself once in a minute only.
  await until(async () => {
    const heard = await next!`
      select from pg_stat_activity where datname = 'postgres' and query ilike 'listen%' or query = ''`
    return heard.length > 0
  })
  assert.is(await schedule(), 'scheduled')
  await until(() => ran() > before)
  await until(async () => (await next!`select from graphile_worker.jobs`).length === 0)
})

/** Leads new connections to a port; those there are stay, unless it is abrupt. */
async function createSwitch(port: number) {
  const sockets = new Set<Socket>()
  const listener = createServer(client => {
    const server = connect(port, '127.0.0.1')
    for (const [one, other] of [
      [client, server],
      [server, client]
    ] as const) {
      sockets.add(one)
      one
        .on('error', () => {})
        .on('close', () => {
          sockets.delete(one)
          other.destroy()
        })
      one.pipe(other)
    }
  })
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
  const close = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  onceDone(() => {
    listener.close()
    close()
  })
  const { port: own } = listener.address() as { port: number }
  return {
    url: `postgres://postgres@127.0.0.1:${own}/postgres`,
    lead(to: number, { isAbrupt = false } = {}) {
      port = to
      if (isAbrupt) close()
    }
  }
}
