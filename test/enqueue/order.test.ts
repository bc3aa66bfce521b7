import { createBackground } from '../../src/background.ts'
import { Queue } from '../../src/queue.ts'
import type { JobOptions } from '../../src/schedule.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('calls of one queue at once')

const { sql, url } = await createDatabase()
const background = createBackground({ connection: url })
onceDone(() => background.close())
await background.migrate()

test('run in the order of the calls, whatever else is scheduled', async () => {
  const calls = Array.from({ length: 4_000 }, (_, n) =>
    background.schedule({ task: 'Ordered', payload: { n }, ...(n % 4 ? { queue: Queue.for(`order ${n % 3}`) } : {}) })
  )
  // While those are under way, more come.
  await calls[500]
  calls.push(
    ...Array.from({ length: 1_000 }, (_, n) =>
      background.schedule({ task: 'Ordered', payload: { n: 4_000 + n }, queue: Queue.for('order 0') })
    )
  )
  await Promise.all(calls)
  await holdToOrder('order 0')
})

test('run in the order of the calls within a transaction', async () => {
  await sql.begin(async transaction => {
    const within = background.with(transaction)
    for (let n = 0; n < 50; n++) {
      await within.schedule({ task: 'Ordered', payload: { n }, queue: Queue.for('within') })
    }
    const payloads = Array.from({ length: 2_500 }, (_, n) => ({ n: 50 + n }))
    await within.scheduleMany({ task: 'Ordered', payloads, queue: Queue.for('within') })
    await within.schedule({ task: 'Ordered', payload: { n: 2_550 }, queue: Queue.for('within') })
  })
  await holdToOrder('within')
})

for (const where of ['by themselves', 'within a transaction']) {
  test(`run in the order of the calls ${where}, though the first one reads what workers have registered`, async () => {
    await using fresh = createBackground({ connection: url })
    const queue = Queue.for(where)
    await sql.begin(async transaction => {
      const scheduler = where === 'by themselves' ? fresh : fresh.with(transaction)
      const add = (n: number) => scheduler.schedule({ task: 'Ordered', payload: { n }, queue })
      const calls = Array.from({ length: 20 }, (_, n) => add(n))
      const later = calls[0]?.then(() => Promise.all(Array.from({ length: 20 }, (_, n) => add(20 + n))))
      await Promise.all([...calls, later])
    })
    await holdToOrder(where)
  })
}

const LATER = new Date(2e12)
const kinds: Record<string, (key: string) => JobOptions> = {
  plain: () => ({}),
  key: key => ({ key }),
  time: () => ({ runAt: LATER })
}
for (const mixed of ['key plain', 'plain key', 'plain key plain plain key key plain']) {
  test(`run in the order of the calls, with a key or without: ${mixed}`, async () => {
    const calls = await scheduleEach(mixed)
    const rows = await sql<{ numbers: string }[]>`
      select string_agg(payload->>'n', ' ' order by jobs.run_at, id) as numbers
      from graphile_worker.jobs join graphile_worker._private_jobs payloads using (id)
      where queue_name = any(${calls.queues})
      group by queue_name`
    assert.equal(countEach(rows), { [calls.numbers]: calls.queues.length })
  })
}

for (const mixed of ['time plain', 'plain time', 'plain time key plain time']) {
  test(`are scheduled in their order, with a time of their own or without: ${mixed}`, async () => {
    const calls = await scheduleEach(mixed)
    const rows = await sql<{ numbers: string }[]>`
      select string_agg(payload->>'n', ' ' order by id) as numbers
      from graphile_worker.jobs join graphile_worker._private_jobs payloads using (id)
      where queue_name = any(${calls.queues})
      group by queue_name`
    assert.equal(countEach(rows), { [calls.numbers]: calls.queues.length })
  })
}

test("wait for one of theirs that waits for somebody's key, and those of another queue do not", async () => {
  const queue = Queue.for('blocked')
  // The first job of a queue creates it, and whoever else needs it waits for that.
  await background.schedule({ task: 'Ordered', payload: { n: -1 }, queue })
  const { blocked } = await sql.begin(async transaction => {
    await background.with(transaction).schedule({ task: 'Ordered', key: 'blocked' })
    const calls = [{ key: 'blocked' }, {}, { key: 'free' }, {}].map((options, n) =>
      background.schedule({ task: 'Ordered', payload: { n }, queue, ...options })
    )
    await background.schedule({ task: 'Ordered', queue: Queue.for('not blocked') })
    assert.is((await sql`select from graphile_worker.jobs where queue_name = 'blocked'`).length, 1)
    return { blocked: calls }
  })
  await Promise.all(blocked)
  await holdToOrder('blocked')
})

/** Schedules jobs of these kinds at once, in many queues one after another. */
async function scheduleEach(mixed: string): Promise<{ queues: string[]; numbers: string }> {
  const names = mixed.split(' ')
  const queues = Array.from({ length: 100 }, (_, round) => `${mixed} ${round}`)
  for (const queue of queues) {
    await Promise.all(
      names.map((kind, n) =>
        background.schedule({
          task: 'Ordered',
          payload: { n },
          queue: Queue.for(queue),
          ...kinds[kind]?.(`${queue} ${n}`)
        })
      )
    )
  }
  return { queues, numbers: [...names.keys()].join(' ') }
}

function countEach(rows: readonly { numbers: string }[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { numbers } of rows) counts[numbers] = (counts[numbers] ?? 0) + 1
  return counts
}

/** The engine runs the jobs of a queue by priority, then run time; equal times would leave the order open. */
async function holdToOrder(queue: string): Promise<void> {
  const rows = await sql<{ n: number; time: string }[]>`
    select (payload->>'n')::int as n, jobs.run_at::text as time
    from graphile_worker.jobs join graphile_worker._private_jobs payloads using (id)
    where queue_name = ${queue}
    order by jobs.run_at`
  assert.is(new Set(rows.map(({ time }) => time)).size, rows.length)
  const numbers = rows.map(({ n }) => n)
  assert.equal(
    numbers,
    numbers.toSorted((a, b) => a - b)
  )
}
