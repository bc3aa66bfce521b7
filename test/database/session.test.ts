import { mock } from 'node:test'
import postgres from 'postgres'
import { openSession } from '../../src/database/session.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('sessions of one client')
const { url } = await createDatabase()
const one = { text: 'select 1 as one', values: [] }

test('each know that they are connected: a later one too, however long it lives', async () => {
  const template = postgres(url, { max: 1 })
  mock.timers.enable({ apis: ['setInterval'] })
  const sessions = [openSession(template), openSession(template), openSession(template)]
  try {
    for (const session of sessions) assert.equal([...(await session.execute(one))], [{ one: 1 }])
    mock.timers.tick(60_000)
    assert.equal(
      sessions.map(({ isLost }) => isLost),
      [false, false, false]
    )
    for (const session of sessions) assert.equal([...(await session.execute(one))], [{ one: 1 }])
  } finally {
    mock.timers.reset()
    await Promise.all(sessions.map(session => session.end()))
    await template.end()
  }
})

test('run their statements in the order in which they were sent, and lose all of them with the connection', async () => {
  const template = postgres(url, { max: 1 })
  const session = openSession(template)
  await session.execute(one)
  const ended: number[] = []
  await Promise.all(
    [1, 2, 3].map(number =>
      session.execute({ text: 'select pg_sleep(0.01)', values: [] }).then(() => ended.push(number))
    )
  )
  assert.equal(ended, [1, 2, 3])
  const end = { text: 'select pg_terminate_backend(pg_backend_pid())', values: [] }
  const outcomes = await Promise.allSettled([session.execute(end), session.execute(one), session.execute(one)])
  assert.equal(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected', 'rejected']
  )
  assert.is(session.isLost, true)
  await session.end()
  await template.end()
})
