import { fileURLToPath } from 'node:url'
import { createBackground } from '../../src/background.ts'
import { createDatabase } from '../helpers/database.ts'
import { run } from '../helpers/process.ts'
import { runtimes } from '../helpers/runtimes.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite("a transaction of Bun's own client")

test('holds the jobs that were scheduled in it, if it is committed', async () => {
  const database = await createDatabase()
  await using owner = createBackground({ connection: database.url })
  await owner.migrate()
  const [command, ...flags] = runtimes.bun
  const script = fileURLToPath(new URL('../fixtures/bun-transactions.ts', import.meta.url))
  const { code, stdout, stderr } = await run(command, [...flags, script], { env: { DATABASE_URL: database.url } })
  assert.is(code, 0, stderr)
  assert.match(stdout, /^TypeError: Cannot schedule in a transaction: the argument is a client of postgres\.js or Bun/)
  const rows = await database.sql`select key from graphile_worker.jobs order by key`
  assert.equal(
    rows.map(({ key }) => key),
    ['bun 1', 'bun 3', 'bun 4', 'bun 5']
  )
})
