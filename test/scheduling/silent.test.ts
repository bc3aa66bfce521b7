import { createBackground } from '../../src/background.ts'
import { Queue } from '../../src/queue.ts'
import { connectionTimings } from '../../src/rules/timings.ts'
import { createProxy } from '../chaos/proxy.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createTransactionPooler } from '../ledger/poolers.ts'

const test = suite('a connection that falls silent')
connectionTimings.tickMs = 250

const { sql, url } = await createDatabase()
const prepared = createBackground({ connection: url })
onceDone(() => prepared.close())
await prepared.migrate()

test('costs the calls under way their certainty, and holds up neither the others nor close()', async () => {
  const proxy = await createProxy(url)
  const background = createBackground({ connection: proxy.url })
  const queue = Queue.for('silent')
  const later = new Date(2e12)
  // Calls of each kind have a connection.
  const kinds = [{ queue }, { key: 'silent' }, {}, {}]
  await Promise.all(kinds.map(kind => background.schedule({ task: 'Before', ...kind })))
  assert.is(proxy.hang(), 4)

  const calls = [...kinds, { runAt: later }, { queue }].map(kind => background.schedule({ task: 'During', ...kind }))
  const second = background.schedule({ task: 'After', queue })
  const closing = background.close()
  const outcomes = await Promise.allSettled(calls)
  const codes = outcomes.map(outcome => (outcome.status === 'rejected' ? outcome.reason.code : 'done'))
  assert.equal(codes, [...Array(4).fill('OUTCOME_UNKNOWN'), 'done', 'done'])
  const { id } = await second
  await closing
  assert.equal([...(await sql`select id from graphile_worker.jobs where task_identifier = 'After'`)], [{ id }])
  assert.is(proxy.hanging(), 0)
})

test('is told from one that waits for a lock, with a pooler in between or without', async () => {
  const proxy = await createProxy(url)
  const pooled = await createProxy(await createTransactionPooler(url))
  await using direct = createBackground({ connection: proxy.url })
  await using other = createBackground({ connection: pooled.url, prepare: false })
  const { calls } = await sql.begin(async transaction => {
    await prepared.with(transaction).schedule({ task: 'Held', key: 'held' })
    // By two statements, since behind a pooler it is the text that tells.
    const waiting = [
      direct.schedule({ task: 'Waiting', key: 'held' }),
      other.schedule({ task: 'Waiting', key: 'held', keyMode: 'unsafeDedupe' })
    ]
    // The second look is not taken unless the first one has found it at work.
    await until(() => proxy.accepted() >= 3 && pooled.accepted() >= 3)
    return { calls: waiting }
  })
  assert.is((await Promise.all(calls)).length, 2)
})
