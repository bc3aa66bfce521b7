import { createBackground } from '../../src/background.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'

const test = suite('many calls under way')

test('beyond maxPending wait, and are accepted in order as others are done', async () => {
  const { sql, url } = await createDatabase()
  await using background = createBackground({ connection: url, maxPending: 20 })
  await background.migrate()
  const read: number[] = []
  const payloadOf = (n: number) => ({
    // Asked when the payload is read.
    toJSON: () => {
      if (!read.includes(n)) read.push(n)
      return { n }
    }
  })
  const [locked, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const blocked = sql.begin(async transaction => {
    await transaction`lock table graphile_worker._private_jobs in exclusive mode`
    locked.resolve()
    await released.promise
  })
  await locked.promise
  const calls = Array.from({ length: 200 }, (_, n) => background.schedule({ task: 'Wait', payload: payloadOf(n) }))
  await until(async () => (await waitingFor()) > 0, { what: 'a statement that waits' })
  assert.equal(
    read,
    Array.from({ length: 20 }, (_, n) => n)
  )
  released.resolve()
  await blocked
  await Promise.all(calls)
  assert.equal(
    read,
    Array.from({ length: 200 }, (_, n) => n)
  )
  assert.is((await sql`select from graphile_worker.jobs`).length, 200)

  async function waitingFor(): Promise<number> {
    const rows = await sql`
      select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
    return rows.length
  }
})

test('are all sent before close() ends, those too that had to wait', async () => {
  const { sql, url } = await createDatabase()
  const background = createBackground({ connection: url, maxPending: 10, maxConnections: 1 })
  const calls = Array.from({ length: 500 }, (_, n) =>
    background.schedule({ task: 'Flush', payload: { n }, ...(n % 2 ? { key: `key ${n}` } : {}) })
  )
  const many = background.scheduleMany({ task: 'Flush', payloads: Array(2_500).fill({}) })
  await background.close()
  assert.is((await sql`select from graphile_worker.jobs`).length, 3_000)
  assert.is((await Promise.all(calls)).length, 500)
  assert.is((await many).length, 2_500)
  const late = await background.scheduleMany([{ task: 'Late' }]).catch(error => error)
  assert.is(late.code, 'CLOSED')
})
