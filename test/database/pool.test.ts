import { createPool } from '../../src/database/connections/pool.ts'
import { connect } from '../../src/database/open.ts'
import { createDatabase } from '../helpers/database.ts'
import { awaitedLock } from '../helpers/locks.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('a pool that ends')
const { sql, url } = await createDatabase()

test('waits for the work under way, and refuses any other', async () => {
  const pool = createPool(connect({ url }, { max: 1, name: 'test' }), 1)
  let isDone = false
  let ending: Promise<void> | undefined
  await sql.begin(async transaction => {
    await transaction`select pg_advisory_xact_lock(1)`
    const working = pool.execute({ text: 'select pg_advisory_xact_lock(1)', values: [] })
    working.then(() => (isDone = true))
    const waiting = pool.execute({ text: 'select 1', values: [] })
    await awaitedLock(sql)
    ending = pool.end()
    for (const refused of [waiting, pool.execute({ text: 'select 1', values: [] })]) {
      assert.is((await refused.catch(error => error)).code, 'CONNECTION_ENDED')
    }
    assert.is(isDone, false)
  })
  await ending
  assert.is(isDone, true)
})
