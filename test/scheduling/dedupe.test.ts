import { createBackground } from '../../src/background.ts'
import type { Job } from '../../src/job.ts'
import { Queue } from '../../src/queue.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('unsafeDedupe')

const { sql, url } = await createDatabase()
const background = createBackground({ connection: url })
onceDone(() => background.close())

const first = { task: 'First', queue: Queue.for('first'), key: 'taken', priority: 7 }
const later = { task: 'Later', queue: Queue.for('later'), key: 'taken', keyMode: 'unsafeDedupe' } as const
const there = await background.schedule(first)

test('gives the job that is there, as it is, and one that is new as it was asked for', async () => {
  assert.equal(await background.schedule(later), there)
  const { key: _, ...unkeyed } = later
  const added = await background.schedule({ ...unkeyed, key: 'new' })
  assert.equal([added.task, added.queue], ['Later', 'later'])
})

test('does so for calls at once, in bulk, and without a queue', async () => {
  const plain = await background.schedule({ task: 'Plain', key: 'plain' })
  const calls = [later, { ...later, key: 'plain' }, { ...later, key: 'bulk' }, { ...later, key: 'bulk', task: 'Other' }]
  const asThere = (jobs: readonly Job[]): void => {
    assert.equal(jobs.slice(0, 2), [there, plain])
    for (const { task, queue } of jobs.slice(2)) assert.equal([task, queue], ['Later', 'later'])
  }
  asThere(await Promise.all(calls.map(call => background.schedule(call))))
  asThere(await background.scheduleMany(calls))
})

test('sees a job that was committed while the call waited for it', async () => {
  const { call } = await sql.begin(async transaction => {
    const within = background.with(transaction)
    await within.schedule({ task: 'Unseen', queue: Queue.for('unseen'), key: 'unseen' })
    assert.equal(await within.schedule(later), there)
    return { call: background.schedule({ ...later, key: 'unseen' }) }
  })
  const { task, queue } = await call
  assert.equal([task, queue], ['Unseen', 'unseen'])
})
