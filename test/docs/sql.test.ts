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

test('are ten at least', () => assert.ok(questions.length >= 10, `there are ${questions.length}`))

for (const [, question = '', query = ''] of questions) {
  test(`${question} is answered`, async () => {
    const rows = await database.sql.unsafe(query)
    // What is asked for by an id, or runs at this very moment, may be nothing.
    if (/kretes\.(tasks|workers|rates)/.test(query)) assert.ok(rows.length > 0)
  })
}
