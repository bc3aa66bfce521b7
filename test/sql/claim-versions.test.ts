import type { Choice } from '../../src/sql/flow/choice.ts'
import { choiceOf } from '../helpers/choice.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createClaiming } from './claiming.ts'

const test = suite('claimJobs() and the versions of tasks')

const { sql, add, claim, clear } = await createClaiming()
test.before.each(clear)

/** A worker with these versions of its tasks. */
function withVersions(versions: Record<string, number>, ...tasks: string[]): Choice {
  return { ...choiceOf(...tasks), versions }
}

const OLD = withVersions({ Known: 1 }, 'Known', 'Other')

test('leaves jobs that a newer version of their task has scheduled, and takes those of its own and of older ones', async () => {
  const [newer] = await add({ version: 2 })
  const fitting = [...(await add({ version: 1 })), ...(await add()), ...(await add({ task: 'Other' }))]
  const [ofNone] = await add({ task: 'Other', version: 1 })
  assert.equal(
    (await claim(10, undefined, { choice: OLD })).map(({ id }) => id),
    fitting
  )
  const choice = withVersions({ Known: 3, Other: 1 }, 'Known', 'Other')
  assert.equal(
    (await claim(10, undefined, { choice })).map(({ id }) => id),
    [newer, ofNone]
  )
})

test('finds a job behind any number of jobs of the same task that are too new for it', async () => {
  await add({ version: 2, count: 100, minutes: 10 })
  const [id] = await add()
  assert.equal(
    (await claim(10, undefined, { choice: OLD })).map(row => row.id),
    [id]
  )
})

test('finds jobs of other tasks behind any number of jobs that are too new for it', async () => {
  await add({ version: 2, count: 100, minutes: 10 })
  const [id] = await add({ task: 'Other' })
  assert.equal(
    (await claim(10, undefined, { choice: OLD })).map(row => row.id),
    [id]
  )
})

test('finds jobs of queues behind any number of jobs without a queue that are too new for it', async () => {
  await add({ version: 2, count: 100, minutes: 10 })
  const [id] = await add({ queue: 'a' })
  assert.equal(
    (await claim(10, undefined, { choice: OLD })).map(row => row.id),
    [id]
  )
})

test('takes later jobs of a queue whose first ones are too new for it', async () => {
  await add({ queue: 'a', version: 2, count: 30, minutes: 10 })
  const ids = await add({ queue: 'a', count: 3 })
  assert.equal(
    (await claim(10, undefined, { choice: OLD })).map(row => row.id),
    ids
  )
})

test('finds queues behind any number of queues whose jobs are all too new for it', async () => {
  for (let n = 0; n < 40; n++) await add({ queue: `newer ${n}`, version: 2, minutes: 10 })
  const [queued, parallel] = [...(await add({ queue: 'a' })), ...(await add())]
  assert.equal((await claim(10, undefined, { choice: OLD })).map(row => row.id).sort(), [queued, parallel])
  const locked = await sql`select queue_name from graphile_worker._private_job_queues where locked_by is not null`
  assert.equal([...locked], [{ queue_name: 'a' }])
})

test('lets jobs without a queue not overtake a queue behind one whose jobs are too new for it', async () => {
  await add({ queue: 'newer', version: 2, count: 30, minutes: 10 })
  const [id] = await add({ queue: 'a', minutes: 5 })
  await add({ count: 30 })
  assert.is((await claim(10, undefined, { choice: OLD }))[0]?.id, id)
})

test('takes no flag for a version that only looks like one', async () => {
  const harmful: string[] = []
  for (const flag of [
    'other',
    'kretes:version x',
    'kretes:version ',
    'kretes:version -2',
    'kretes:version 2 ',
    ' kretes:version 2',
    'kretes:version 1234567890',
    'kretes:version 99999999999999999999',
    'kretes:occurrence 1 kretes:version 9',
    'kretes:occurrence 1 "kretes:version 9',
    'kretes:occurrence 1 "kretes:version 9": ',
    'kretes:occurrence 1 \\"kretes:version 9": true',
    'kretes:occurrence 1 x\n"kretes:version 9'
  ]) {
    await clear()
    await sql`select graphile_worker.add_job('Known', flags => ${['kretes:versioned', flag]}::text[], run_at => now() - interval '1 minute')`
    if ((await claim(10, undefined, { choice: OLD })).length === 0) harmful.push(flag)
  }
  assert.equal(harmful, [])
})
