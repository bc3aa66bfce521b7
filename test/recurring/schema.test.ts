import { createBackground } from '../../src/background.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('a call for recurring jobs on an empty database')

async function refusalOf(work: Promise<unknown>): Promise<string> {
  const { code, message } = await work.then(
    () => assert.unreachable('it went well'),
    reason => reason
  )
  return `${code}: ${message}`
}

test('installs the schema only if it sets one', async () => {
  const empty = await createDatabase({ isEmpty: true })
  await using other = createBackground({ connection: empty.url })
  const calls = {
    'list recurring jobs': () => other.recurring.list(),
    'look at a recurring job': () => other.recurring.get('x'),
    'pause a recurring job': () => other.recurring.pause('x'),
    'resume a recurring job': () => other.recurring.resume('x'),
    'run a recurring job': () => other.recurring.runNow('x'),
    'preview a recurring job': () => other.recurring.preview('x'),
    'remove a recurring job': () => other.recurring.remove('x'),
    'reset a recurring job': () => other.recurring.reset('x')
  }
  for (const [doing, call] of Object.entries(calls)) {
    assert.match(await refusalOf(call()), `MIGRATION: Cannot ${doing}: kretes is not installed in`)
  }
  assert.is((await empty.sql`select from pg_namespace where nspname in ('kretes', 'graphile_worker')`).length, 0)
  await other.recurring.set('x', { task: 'Note', every: '1h' })
  assert.is((await other.recurring.list()).entries.length, 1)
})
