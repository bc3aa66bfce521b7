import { setTimeout as sleep } from 'node:timers/promises'
import { createBackground } from '../../src/background.ts'
import { Queue } from '../../src/queue.ts'
import type { Task } from '../../src/task.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { fill, work } from './work.ts'

const test = suite('jobs of a queue that are fetched together')

/** So long that whoever has to wait for a poll fails. */
const pollInterval = 600_000

test('are written while the jobs after them run', async () => {
  const database = await migrated()
  await fill(database, 'Count', 40, { queue: 'one' })
  const gate = Promise.withResolvers<void>()
  const order: number[] = []
  const Count = async ({ n }: { n: number }): Promise<void> => {
    order.push(n)
    if (n === 20) await gate.promise
  }
  await work(database, { tasks: { Count }, pollInterval, localQueueTtl: 60_000 })
  await until(async () => (await idsOf(database, 'true')).length === 21)
  assert.is((await idsOf(database, 'locked_at is not null')).length, 21)
  assert.is((await lockedQueues(database)).length, 1)
  gate.resolve()
  await until(async () => (await idsOf(database, 'true')).length === 0)
  await until(async () => (await lockedQueues(database)).length === 0)
  assert.equal(order, upTo(40))
})

test('go back if one takes long, while it keeps the queue, and the next fetch takes fewer', async () => {
  const database = await migrated()
  await using background = createBackground({ connection: database.url })
  await fill(database, 'Count', 30, { queue: 'one' })
  const gates = upTo(30).map(() => Promise.withResolvers<void>())
  const order: number[] = []
  let fetched = 0
  const Count = async ({ n }: { n: number }): Promise<void> => {
    if (n === 2) fetched = (await idsOf(database, 'locked_at is not null')).length
    order.push(n)
    await gates[n - 1]?.promise
  }
  await work(database, { tasks: { Count }, pollInterval, localQueueTtl: 100 })
  await until(() => order.length === 1)
  await until(async () => (await idsOf(database, 'locked_at is null')).length === 29)
  const [first, second] = await idsOf(database, 'true')
  assert.equal(await idsOf(database, 'locked_at is not null'), [first])
  assert.equal(
    (await background.why(second!)).reasons.map(({ code, job }) => [code, job]),
    [['queue-held', first]]
  )
  const urgent = await background.schedule({ task: 'Count', payload: { n: 30 }, queue: Queue.for('one'), priority: -1 })
  gates[29]?.resolve()
  gates[0]?.resolve()
  await until(() => order.length === 3)
  assert.equal(order, [1, 30, 2])
  assert.ok(fetched <= 2, `${fetched} were fetched together`)
  assert.equal((await background.job(urgent.id))?.state, 'succeeded')
  for (const { resolve } of gates) resolve()
  await until(() => order.length === 31)
  assert.equal(order, [1, 30, ...upTo(30).slice(1)])
})

test('of a queue that has become fast are fetched together again', async () => {
  const database = await migrated()
  await fill(database, 'Count', 200, { queue: 'one' })
  const most: number[] = []
  const Count = async ({ n }: { n: number }): Promise<void> => {
    if (n <= 2) await sleep(60)
    else if (n % 20 === 0) most.push((await idsOf(database, 'locked_at is not null')).length)
  }
  await work(database, { tasks: { Count }, pollInterval, localQueueTtl: 50 })
  await until(async () => (await idsOf(database, 'true')).length === 0)
  assert.ok(Math.max(...most) > 10, `at most ${Math.max(...most)} at once`)
})

test('go back at once when the worker stops, and keep their order', async () => {
  const database = await migrated()
  await fill(database, 'Count', 50, { queue: 'one' })
  const order: number[] = []
  const gate = Promise.withResolvers<void>()
  const first = await work(database, {
    tasks: {
      async Count({ n }: { n: number }) {
        order.push(n)
        if (n === 7) await gate.promise
      }
    },
    localQueueTtl: 60_000
  })
  await until(() => order.length === 7)
  const stopped = first.stop({ timeout: 20_000 })
  await until(async () => (await idsOf(database, 'locked_at is null')).length === 43)
  assert.is((await lockedQueues(database)).length, 1)
  gate.resolve()
  await stopped
  assert.is((await lockedQueues(database)).length, 0)
  await work(database, { tasks: { Count: ({ n }: { n: number }) => void order.push(n) } })
  await until(() => order.length === 50)
  assert.equal(order, upTo(50))
})

test('run again from the first whose end was not written, after their worker was stopped by force', async () => {
  const database = await migrated()
  await fill(database, 'Count', 50, { queue: 'one' })
  const order: number[] = []
  const first = await work(database, {
    tasks: {
      async Count({ n }: { n: number }, { signal }: { signal: AbortSignal }) {
        order.push(n)
        if (n === 7) await new Promise((_resolve, reject) => signal.addEventListener('abort', reject))
      }
    }
  })
  await until(() => order.length === 7)
  await first.stop({ timeout: 0 })
  await work(database, { tasks: { Count: ({ n }: { n: number }) => void order.push(n) } })
  await until(() => order.length === 51)
  assert.equal(order, [...upTo(7), ...upTo(50).slice(6)])
})

test('can be cancelled one by one before they begin', async () => {
  const database = await migrated()
  await using background = createBackground({ connection: database.url })
  await fill(database, 'Count', 10, { queue: 'one' })
  const order: number[] = []
  const Count: Task<{ n: number }> = async ({ n }, { signal }) => {
    order.push(n)
    if (n === 1) await new Promise((_resolve, reject) => signal.addEventListener('abort', reject))
  }
  await work(database, { tasks: { Count }, pollInterval, localQueueTtl: 60_000 })
  await until(() => order.length === 1)
  const ids = await idsOf(database, 'true')
  const { reasons } = await background.why(ids[4]!)
  assert.match(reasons[0]!.message, `together with job ${ids[0]} of its queue one, which comes before it`)
  assert.equal([reasons[0]!.code, reasons[0]!.job], ['fetched', ids[0]])
  await background.cancel(ids[4]!)
  await background.cancel(ids[0]!)
  await until(async () => (await idsOf(database, 'true')).length === 0)
  assert.equal(
    order,
    upTo(10).filter(n => n !== 5)
  )
})

async function migrated(): Promise<TestDatabase> {
  const database = await createDatabase()
  await using background = createBackground({ connection: database.url })
  await background.migrate()
  return database
}

/** The ids of the jobs for which a condition holds, in order. */
async function idsOf({ sql }: TestDatabase, condition: string): Promise<string[]> {
  const rows = await sql.unsafe<{ id: string }[]>(
    `select id from graphile_worker._private_jobs where ${condition} order by id`
  )
  return rows.map(({ id }) => id)
}

async function lockedQueues({ sql }: TestDatabase): Promise<readonly unknown[]> {
  return await sql`select from graphile_worker._private_job_queues where locked_at is not null`
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1)
}
