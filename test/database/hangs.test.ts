import { createPool } from '../../src/database/connections/pool.ts'
import { reasonOf } from '../../src/database/connections/transaction.ts'
import { codeOf } from '../../src/database/failure.ts'
import { connect } from '../../src/database/open.ts'
import { connectionTimings } from '../../src/timings.ts'
import { createProxy } from '../chaos/proxy.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { awaitedLock } from '../helpers/locks.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'

const test = suite('a connection that hangs')
connectionTimings.tickMs = 50

const { sql, url } = await createDatabase()
const lock = { text: 'select pg_advisory_xact_lock(1)', values: [] }

test('is lost along with others that wait for its lock, and the server lets go of it', async () => {
  const proxy = await createProxy(url)
  const pool = createPool(connect({ url: proxy.url }, { max: 1, name: 'hanging' }), 2)
  onceDone(() => pool.end())
  const locked = Promise.withResolvers<void>()
  const hung = Promise.withResolvers<void>()
  const holding = pool.transact(async execute => {
    await execute(lock)
    locked.resolve()
    await hung.promise
    await execute({ text: 'select 1', values: [] })
  })
  await locked.promise
  const waiting = pool.execute(lock)
  await awaitedLock(sql)
  assert.is(proxy.hang(), 2)
  hung.resolve()
  const outcomes = await Promise.allSettled([holding, waiting])
  const reasons = outcomes.map(outcome => outcome.status === 'rejected' && reasonOf(outcome.reason))
  assert.equal(reasons.map(codeOf), ['ETIMEDOUT', 'ETIMEDOUT'])
  await until(() => proxy.hanging() === 0)
  await sql.unsafe(lock.text)
  await until(async () => (await sql`select from pg_stat_activity where application_name = 'hanging'`).length === 0)
})
