import { createServer, connect as netConnect, type Server, type Socket } from 'node:net'
import { connect } from '../../src/database/open.ts'
import { silentLogger } from '../../src/logger.ts'
import { createResults, type Reach } from '../../src/results/results.ts'
import { connectionTimings } from '../../src/rules/timings.ts'
import { createProxy } from '../chaos/proxy.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { start } from '../helpers/process.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'

const test = suite('waiting for results')
connectionTimings.tickMs = 200

test('outlasts a connection that hangs', async () => {
  const { sql, url } = await createDatabase()
  const [job] = await sql<{ id: string }[]>`select (graphile_worker.add_job('Note')).id::text`
  const proxy = await createProxy(url)
  const results = createResults({
    schema: 'graphile_worker',
    logger: silentLogger,
    reach: async () => reachOf(proxy.url)
  })
  onceDone(results.close)
  const waiting = results.wait({ id: job!.id, since: null }).catch(error => error.code)
  await until(async () => (await sql`select from kretes.waiters`).length === 1)
  proxy.hang()
  await sql`delete from graphile_worker._private_jobs`
  assert.is(await waiting, 'JOB_GONE')
  await until(() => proxy.hanging() === 0)
})

test('ends its tries to connect with the last call that waits', async () => {
  const { sql, url } = await createDatabase()
  const [job] = await sql<{ id: string }[]>`select (graphile_worker.add_job('Note')).id::text`
  const sockets = new Set<Socket>()
  let isAway = false
  let tries = 0
  const listener = createServer(client => {
    tries++
    if (isAway) return void client.destroy()
    const { hostname, port } = new URL(url)
    const server = netConnect(Number(port), hostname)
    for (const socket of [client.pipe(server), server.pipe(client)]) sockets.add(socket.on('error', () => {}))
  })
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
  onceDone(() => listener.close())
  const child = start(process.execPath, ['--input-type=module', '-e', WAIT, urlOf(listener, url), String(job?.id)])
  await until(async () => (await sql`select from kretes.waiters`).length === 1)
  isAway = true
  for (const socket of sockets) socket.destroy()
  // It has nothing more to do, so it ends by itself.
  const { code, stdout } = await child.exit
  assert.equal([code, stdout], [0, 'TIMEOUT\n'])
  assert.ok(tries > 2)
})

test('gives up on a schema that stays away, whatever its migration says', async () => {
  const { url } = await createDatabase({ isEmpty: true })
  let migrations = 0
  const migrate = async (): Promise<void> => void migrations++
  const reach = async (): Promise<Reach> => ({ ...reachOf(url), migrate })
  const results = createResults({ schema: 'graphile_worker', logger: silentLogger, reach })
  onceDone(results.close)
  const reason = await results.wait({ id: '1', since: null }).catch(error => error)
  assert.instance(reason, Error)
  assert.is(migrations, 3)
})

const moduleOf = (path: string): string => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href)

/** Waits a second for a job. */
const WAIT = `
  import { silentLogger } from ${moduleOf('logger.ts')}
  import { connect } from ${moduleOf('database/open.ts')}
  import { createResults } from ${moduleOf('results/results.ts')}

  const [url, id] = process.argv.slice(1)
  const reach = async () => ({ client: connect({ url }, { max: 1 }), label: 'the database', migrate: async () => {} })
  const results = createResults({ schema: 'graphile_worker', logger: silentLogger, reach })
  await results.wait({ id, since: null }, { timeout: 1_000 }).catch(error => console.log(error.code))`

function reachOf(url: string): Reach {
  return { client: connect({ url }, { max: 1, name: 'test' }), label: 'the database', migrate: async () => {} }
}

function urlOf(listener: Server, url: string): string {
  const { port } = listener.address() as { port: number }
  return Object.assign(new URL(url), { host: `127.0.0.1:${port}` }).href
}
