import postgres from 'postgres'
import { claimJobs, jobsOf } from '../../src/sql/worker/claim.ts'
import { choiceOf } from '../helpers/choice.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createClaiming } from './claiming.ts'

const test = suite('claimJobs()')

const { database, sql, add, claim, clear } = await createClaiming()
test.before.each(clear)

test('passes over queues that another is fetching from, and finds what waits behind them', async () => {
  for (const queue of ['a', 'a', 'b', 'b', null]) await add({ queue })
  const open = await sql.reserve()
  await open`begin`
  assert.equal((await claim(2, open)).length, 2)
  assert.equal(
    (await claim(10)).map(({ queue }) => queue),
    ['b', 'b', null]
  )
  assert.equal(await claim(10), [])
  await open`commit`
  open.release()
  assert.equal(await claim(10), [])
})

test('lets no job of a queue overtake one that a transaction has locked', async () => {
  for (const queue of ['a', 'a', null, 'b']) await add({ queue })
  const [first, second] = await sql`select id from graphile_worker._private_jobs order by id limit 2`
  const held = await sql.reserve()
  await held`begin`
  await held`select from graphile_worker._private_jobs where id = ${first!.id} for update`
  assert.equal(
    (await claim(10)).map(({ queue }) => queue),
    [null, 'b']
  )
  assert.equal(await claim(10), [])
  await held`rollback`
  held.release()
  assert.equal(
    (await claim(10)).map(({ id }) => id),
    [first!.id, second!.id]
  )
})

test('takes no more jobs of a queue than it is asked to', async () => {
  for (const queue of ['a', 'a', 'a', 'b', 'b', 'b']) await add({ queue })
  const [queue] = await sql<{ id: number }[]>`
    select id from graphile_worker._private_job_queues where queue_name = 'a'`
  assert.equal(
    (await claim(10, undefined, { most: new Map([[queue!.id, 2]]) })).map(({ queue }) => queue),
    ['a', 'a', 'b', 'b', 'b']
  )
})

test('takes jobs only from the queues that it is given if it does not look for queues', async () => {
  for (const queue of ['a', 'a', 'b', null, 'c']) await add({ queue })
  const [queue] = await sql<{ id: number }[]>`
    select id from graphile_worker._private_job_queues where queue_name = 'a'`
  const given = { scans: 'none' as const, also: [queue!.id] }
  assert.equal(
    (await claim(10, undefined, given)).map(({ queue }) => queue),
    ['a', 'a', null]
  )
  assert.equal(await claim(10, undefined, given), [])
  assert.equal(
    (await claim(10)).map(({ queue }) => queue),
    ['b', 'c']
  )
})

test('keeps the order of the jobs of one call, although some were given back', async () => {
  await sql`
    select graphile_worker.add_job('Known', queue_name => 'a', run_at => date_trunc('hour', now())) from generate_series(1, 40)`
  const ids = (await sql`select id from graphile_worker._private_jobs order by id`).map(({ id }) => id)
  await sql`update graphile_worker._private_jobs set attempts = 1 where id = any(${ids.slice(0, 5)})`
  await sql`update graphile_worker._private_jobs set attempts = 0 where id = any(${ids.slice(0, 5)})`
  assert.equal(
    (await claim(10)).map(({ id }) => id),
    ids.slice(0, 10)
  )
})

test('looks behind queues whose first jobs are locked, however many jobs they have', async () => {
  for (const queue of ['a', 'b']) for (let n = 0; n < 6; n++) await add({ queue })
  await add()
  await add({ queue: 'c' })
  const held = await sql.reserve()
  await held`begin`
  await held`
    select from graphile_worker._private_jobs
    where id in (select min(id) from graphile_worker._private_jobs group by job_queue_id)
      and job_queue_id in (select id from graphile_worker._private_job_queues where queue_name in ('a', 'b'))
    for update`
  assert.equal(
    (await claim(5)).map(({ queue }) => queue),
    [null, 'c']
  )
  await held`rollback`
  held.release()
  assert.equal(
    (await claim(5)).map(({ queue }) => queue),
    ['a', 'a', 'a', 'a', 'a']
  )
})

test('passes over a queue that is locked though no worker has a job of it', async () => {
  for (let n = 0; n < 6; n++) await add({ queue: 'a' })
  await sql`update graphile_worker._private_job_queues set locked_at = now(), locked_by = 'gone'`
  await add({ queue: 'b' })
  assert.equal(
    (await claim(5)).map(({ queue }) => queue),
    ['b']
  )
})

test('leaves queues free whose jobs would be too much payload', async () => {
  for (const queue of ['a', 'b', 'c']) {
    await sql`
      select graphile_worker.add_job(
        'Known', json_build_object('text', repeat('x', 9000000)), ${queue}::text, run_at => clock_timestamp() - interval '1 minute'
      )`
  }
  assert.equal(
    (await claim(10)).map(({ queue }) => queue),
    ['a', 'b']
  )
  const free = await sql`select queue_name from graphile_worker._private_job_queues where locked_at is null`
  assert.equal([...free], [{ queue_name: 'c' }])
})

test('keeps the order of a queue from which many fetch and complete at once', async () => {
  await sql`
    select graphile_worker.add_job('Known', queue_name => 'only', run_at => now() - interval '1 hour' + n * interval '1 ms')
    from generate_series(1, 300) n`
  const order: number[] = []
  const { text, values } = claimJobs('graphile_worker', { worker: 'me', choice: choiceOf('Known'), size: 10 })
  const drain = async (): Promise<void> => {
    const session = postgres(database.url, { max: 1, connection: { enable_seqscan: false } })
    while (order.length < 200) {
      const { jobs } = jobsOf(await session.unsafe(text, values as never[], { prepare: true }))
      if (jobs.length === 0) continue
      const ids = jobs.map(row => Number(row.id))
      order.push(...ids)
      await session`
        with done as (delete from graphile_worker._private_jobs where id = any(${ids}) returning job_queue_id)
        update graphile_worker._private_job_queues queue set locked_at = null, locked_by = null
        from done where queue.id = done.job_queue_id`
    }
    await session.end()
  }
  await Promise.all([drain(), drain(), drain(), drain()])
  assert.equal(
    order,
    order.toSorted((left, right) => left - right)
  )
})

test('finds a queue free again whose worker has let go of it, whatever became of its jobs', async () => {
  await add({ queue: 'a' })
  await sql`update graphile_worker._private_job_queues set locked_at = now(), locked_by = 'gone'`
  assert.equal(await claim(10), [])
  await sql`update graphile_worker._private_job_queues set locked_at = null, locked_by = null`
  assert.is((await claim(10)).length, 1)
})
