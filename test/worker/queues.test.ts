import { setTimeout as sleep } from 'node:timers/promises'
import { createBackground } from '../../src/background.ts'
import { Queue } from '../../src/queue.ts'
import type { Task } from '../../src/task.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { countJobs, fill, work } from './work.ts'

const test = suite('named queues')

/** So long that whoever has to wait for a poll fails. */
const pollInterval = 600_000

interface Log {
  readonly order: number[]
  readonly most: number
}

/** A task that takes so long, and a log of its runs: in which order they ended, and how many ran at once at most. */
function logged(durationMs: number): { task: Task<{ n: number }>; log: Log } {
  let running = 0
  const log = { order: [] as number[], most: 0 }
  const task: Task<{ n: number }> = async ({ n }) => {
    log.most = Math.max(log.most, ++running)
    if (durationMs > 0) await sleep(durationMs)
    running--
    log.order.push(n)
  }
  return { task, log }
}

test('run one job at a time, in order', async () => {
  const database = await createDatabase()
  await using background = createBackground({ connection: database.url })
  const queue = Queue.for('email')
  for (let n = 1; n <= 20; n++) await background.schedule({ task: 'Count', payload: { n }, queue })
  const { task, log } = logged(50)
  await work(database, { tasks: { Count: named(task) }, pollInterval })
  await until(() => log.order.length === 20)
  assert.is(log.most, 1)
  assert.equal(log.order, upTo(20))
})

test('do not wait for a poll or a look between two jobs', async () => {
  const database = await migrated()
  await fill(database, 'Count', 600, { queue: 'one' })
  const { task, log } = logged(0)
  await work(database, { tasks: { Count: named(task) }, pollInterval })
  await until(() => log.order.length === 600)
  assert.is(log.most, 1)
  assert.equal(log.order, upTo(600))
})

test('run beside each other without waiting for the poll', async () => {
  const database = await migrated()
  await fill(database, 'Count', 100, { queues: 10 })
  const { task, log } = logged(5)
  await work(database, { tasks: { Count: named(task) }, pollInterval })
  await until(() => log.order.length === 100)
  assert.ok(log.most > 1)
  for (let queue = 0; queue < 10; queue++) {
    const order = log.order.filter(n => n % 10 === queue)
    assert.equal(
      order,
      order.toSorted((a, b) => a - b)
    )
  }
})

test('take up again when jobs come after a pause', async () => {
  const database = await createDatabase()
  await using background = createBackground({ connection: database.url })
  const { task, log } = logged(0)
  await work(database, { tasks: { Count: named(task) }, pollInterval })
  for (let n = 1; n <= 15; n++) {
    await background.schedule({ task: 'Count', payload: { n }, queue: Queue.for('one') })
    if (n % 5 === 0) await until(() => log.order.length === n)
  }
  assert.equal(log.order, upTo(15))
})

test('with a long backlog hold up nobody', async () => {
  const database = await migrated()
  await fill(database, 'Slow', 2_000, { queue: 'one' })
  await fill(database, 'Count', 500)
  const slow = logged(20)
  const fast = logged(0)
  await work(database, { tasks: { Slow: named(slow.task, 'Slow'), Count: named(fast.task) }, pollInterval })
  await until(() => fast.log.order.length === 500)
  assert.is(slow.log.most, 1)
  assert.ok(slow.log.order.length < 2_000, 'the whole queue was first')
  assert.equal(slow.log.order, upTo(slow.log.order.length))
})

test('go on while a failed job of theirs waits for its next attempt', async () => {
  const database = await migrated()
  await fill(database, 'Count', 20, { queue: 'one' })
  const { task, log } = logged(0)
  const Count: Task<{ n: number }> = (input, context) => {
    if (input.n % 5 === 0) throw new Error('not this one')
    return task(input, context)
  }
  await work(database, { tasks: { Count }, pollInterval })
  await until(() => log.order.length === 16)
  assert.equal(
    log.order,
    upTo(20).filter(n => n % 5 !== 0)
  )
  await until(async () => {
    const rows = await database.sql`select from graphile_worker.jobs where last_error is not null and locked_at is null`
    return rows.length === 4
  })
})

test('are never run by two workers at once, nor out of order', async () => {
  const database = await migrated()
  await fill(database, 'Count', 150, { queue: 'one' })
  const { task, log } = logged(2)
  const tasks = { Count: named(task) }
  await Promise.all([work(database, { tasks, pollInterval }), work(database, { tasks, pollInterval })])
  await until(() => log.order.length === 150)
  assert.is(log.most, 1)
  assert.equal(log.order, upTo(150))
})

test('pass from a worker that is busy to one that idles', async () => {
  const database = await migrated()
  const busy = Promise.withResolvers<void>()
  const ran: string[] = []
  const first = await work(database, {
    tasks: {
      Block: () => busy.promise,
      Count: () => void ran.push('first')
    },
    concurrency: 1,
    pollInterval,
    localQueueTtl: 200
  })
  await fill(database, 'Block', 1)
  await until(() => first.running === 1)
  await work(database, { tasks: { Count: () => void ran.push('second') }, pollInterval })
  await fill(database, 'Count', 20, { queue: 'one' })
  await until(() => ran.length === 20)
  assert.ok(ran.every(name => name === 'second'))
  busy.resolve()
})

test('are handed to an idle worker when the one that ran their last job is busy with others', async () => {
  const database = await migrated()
  await fill(database, 'Count', 1, { queue: 'one' })
  await fill(database, 'Wait', 5)
  const [started, gate, busy] = [1, 2, 3].map(() => Promise.withResolvers<void>())
  const first = await work(database, {
    tasks: {
      Count() {
        started?.resolve()
        return gate?.promise
      },
      Wait: () => busy?.promise
    },
    concurrency: 2,
    localQueueTtl: 60_000,
    pollInterval
  })
  await started?.promise
  await fill(database, 'Count', 9, { queue: 'one' })
  let done = 0
  await work(database, { tasks: { Count: () => void done++ }, pollInterval })
  await until(() => first.running === 2)
  await idle(database)
  assert.is(done, 0)
  gate?.resolve()
  await until(() => done === 9)
  busy?.resolve()
})

test('and jobs that a busy worker gives back are taken by an idle one without waiting for its poll', async () => {
  const database = await migrated()
  await fill(database, 'Count', 10)
  await fill(database, 'Count', 1, { queue: 'one' })
  const busy = Promise.withResolvers<void>()
  let done = 0
  const first = await work(database, {
    tasks: { Count: () => busy.promise },
    concurrency: 1,
    localQueueSize: 20,
    localQueueTtl: 3_000,
    pollInterval
  })
  // Everything is with the first worker now, so that the other one finds nothing at its start.
  await until(() => first.running === 1)
  assert.is(await countLocked(database), 11)
  await work(database, { tasks: { Count: () => void done++ }, pollInterval })
  await idle(database)
  assert.is(done, 0)
  await until(() => done === 10)
  assert.is(first.running, 1)
  busy.resolve()
  await until(async () => (await countJobs(database)) === 0)
})

async function migrated(): Promise<TestDatabase> {
  const database = await createDatabase()
  await using background = createBackground({ connection: database.url })
  await background.migrate()
  return database
}

/** A task by the name under which it is registered. */
function named(task: Task<{ n: number }>, name = 'Count'): Task<{ n: number }> {
  return Object.defineProperty(task, 'name', { value: name })
}

async function countLocked({ sql }: TestDatabase): Promise<number> {
  const rows = await sql`select from graphile_worker.jobs where locked_at is not null`
  return rows.length
}

/** Waits until no worker has asked the database anything for a while: they are past their start. */
async function idle({ sql, name }: TestDatabase): Promise<void> {
  await until(async () => {
    const busy = await sql`
      select from pg_stat_activity where datname = ${name} and application_name = 'kretes worker'
        and (state <> 'idle' or clock_timestamp() - state_change < interval '300 ms')`
    return busy.length === 0
  })
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1)
}
