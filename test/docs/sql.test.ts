import { readFile } from 'node:fs/promises'
import { createBackground } from '../../src/background.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { work } from '../worker/work.ts'

const test = suite('the questions of the guide to SQL')
const database = await createDatabase()
const background = createBackground({ connection: database.url })
onceDone(() => background.close())
const guide = await readFile(new URL('../../docs/sql.md', import.meta.url), 'utf8')
const questions = [...guide.matchAll(/^### ([^\n]+\?)\n\n```sql\n(.*?)```/gms)]

test.before(async () => {
  const tasks = {
    Note: () => 'noted',
    Fail: () => {
      throw new Error('It broke')
    }
  }
  await work(database, { tasks })
  await background.schedule({ task: 'Note' })
  await background.schedule({ task: 'Fail', maxAttempts: 1 })
  await background.schedule({ task: 'Nobody' })
  await until(async () => (await background.status()).totals.failed === 1)
})

test('name every column of the views and of the workers', async () => {
  const columns = await database.sql<{ relation: string; name: string }[]>`
    select table_name as relation, column_name as name
    from information_schema.columns
    where table_schema = 'kretes'
      and table_name in ('jobs', 'runs', 'tasks', 'queues', 'rates', 'schedules', 'pauses', 'limits', 'limit_history', 'workers')`
  const rows = new Map([...guide.matchAll(/^\| `kretes\.(\w+)` \| (.*) \|$/gm)].map(([, name, text]) => [name, text]))
  // A queue has the figures of a task.
  const queues = `${rows.get('queues')} ${rows.get('tasks')}`
  const missing = columns.filter(
    ({ relation, name }) => !(relation === 'queues' ? queues : rows.get(relation))?.includes(`\`${name}\``)
  )
  assert.ok(columns.length > 0)
  assert.equal(missing, [])
})

test('are ten at least', () => assert.ok(questions.length >= 10, `there are ${questions.length}`))

for (const [, question = '', query = ''] of questions) {
  test(`${question} is answered`, async () => {
    const rows = await database.sql.unsafe(query)
    // What is asked for by an id, or runs at this very moment, may be nothing.
    if (/kretes\.(tasks|workers|rates)/.test(query)) assert.ok(rows.length > 0)
  })
}
