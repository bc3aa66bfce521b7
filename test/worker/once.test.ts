import { createBackground } from '../../src/background.ts'
import { executeIn } from '../../src/database/connections/session.ts'
import { Queue } from '../../src/queue.ts'
import { upkeepTimings } from '../../src/rules/timings.ts'
import { createPartitions } from '../../src/sql/ledger/partitions.ts'
import type { TaskContext } from '../../src/task.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { countJobs, createRecorder, fill, work } from './work.ts'

const test = suite('a worker that runs once')

test('runs what is due, leaves what is for later, and ends', async () => {
  const database = await prepared()
  await fill(database, 'Count', 300)
  await database.sql`select graphile_worker.add_job('Count', run_at => now() + interval '1 hour')`
  await database.sql`select graphile_worker.add_job('Unknown')`
  let done = 0
  const logger = createRecorder()
  const worker = await work(database, { tasks: { Count: () => void done++ }, once: true, logger })
  await worker.finished
  assert.is(done, 300)
  assert.is(await countJobs(database), 2)
  assert.equal(
    logger.of('worker.unknown-tasks').map(({ fields }) => fields.tasks),
    [['Unknown']]
  )
  assert.equal(await worker.stop(), { unfinished: 0 })
})

test('runs the jobs of recurring jobs that are due, and leaves one that it cannot schedule', async () => {
  const database = await prepared()
  await using background = createBackground({ connection: database.url })
  for (const name of ['due', 'later', 'wrong']) await background.recurring.set(name, { task: 'Count', cron: '@daily' })
  await database.sql`update kretes.recurring set next_at = now() - interval '5 s' where name in ('due', 'wrong')`
  await database.sql`update kretes.recurring set cron = 'of old' where name = 'wrong'`
  const names: unknown[] = []
  const Count = (_: object, { job }: TaskContext): void => void names.push(job.schedule)
  const worker = await work(database, { tasks: { Count }, once: true })
  await worker.finished
  assert.equal(names, ['due'])
})

test('runs all jobs of a queue, one after another', async () => {
  const database = await prepared()
  await fill(database, 'Count', 50, { queue: 'one' })
  await fill(database, 'Count', 50, { queues: 5 })
  const order: number[] = []
  const Count = ({ n }: { n: number }): void => void order.push(n)
  const worker = await work(database, { tasks: { Count }, once: true, pollInterval: 600_000 })
  await worker.finished
  assert.is(order.length, 100)
  assert.is(await countJobs(database), 0)
})

test('does not wait for the next attempt of what failed', async () => {
  const database = await prepared()
  await fill(database, 'Fail', 3)
  await fill(database, 'Fail', 3, { queue: 'one' })
  let runs = 0
  const Fail = (): void => {
    runs++
    throw new Error('always')
  }
  const worker = await work(database, { tasks: { Fail }, once: true, pollInterval: 600_000 })
  await worker.finished
  assert.is(runs, 6)
  const rows = await database.sql`select from graphile_worker.jobs where attempts = 1 and locked_at is null`
  assert.is(rows.length, 6)
})

test('runs what a job schedules for at once', async () => {
  const database = await prepared()
  await using background = createBackground({ connection: database.url })
  await background.schedule({ task: 'Chain', payload: { left: 5 }, queue: Queue.for('chain') })
  const seen: number[] = []
  const Chain = async ({ left }: { left: number }): Promise<void> => {
    seen.push(left)
    if (left === 0) return
    await background.schedule({ task: 'Chain', payload: { left: left - 1 }, queue: Queue.for('chain') })
  }
  const worker = await work(database, { tasks: { Chain }, once: true, pollInterval: 600_000 })
  await worker.finished
  assert.equal(seen, [5, 4, 3, 2, 1, 0])
})

test('ends at once on an empty database, and leaves no connection', async () => {
  const database = await createDatabase({ isEmpty: true })
  const worker = await work(database, { tasks: { Count: () => {} }, once: true, pollInterval: 600_000 })
  await worker.finished
  await until(async () => {
    const rows = await database.sql`
      select from pg_stat_activity where datname = ${database.name} and application_name like 'kretes%'`
    return rows.length === 0
  })
})

test('shares the work with another one, and both end', async () => {
  const database = await prepared()
  await fill(database, 'Count', 200)
  await fill(database, 'Count', 40, { queue: 'one' })
  let done = 0
  const options = { tasks: { Count: () => void done++ }, once: true, pollInterval: 600_000 }
  const workers = await Promise.all([work(database, options), work(database, options)])
  await Promise.all(workers.map(worker => worker.finished))
  assert.is(done, 240)
  assert.is(await countJobs(database), 0)
})

test('gives itself the time to rescue the jobs of a worker that has died, and runs them', async () => {
  const database = await prepared()
  const { sql } = database
  await fill(database, 'Count', 3)
  await sql`
    update graphile_worker._private_jobs set locked_at = now() - interval '1 minute', locked_by = 'dead', attempts = 1`
  await sql`
    insert into kretes.workers (id, host, pid, concurrency, beat_at)
    values ('dead', 'nowhere', 1, 10, now() - interval '1 minute')`
  const attempts: number[] = []
  const Count = (_: object, { attempt }: TaskContext): void => void attempts.push(attempt)
  const worker = await work(database, { tasks: { Count }, once: true })
  await worker.finished
  assert.equal(attempts, [1, 1, 1])
  assert.is((await sql`select from kretes.workers`).length, 0)
})

test('removes old runs, and makes room for new ones', async () => {
  const database = await prepared()
  const { sql } = database
  upkeepTimings.onceMs = 60_000
  await createPartitions(executeIn(sql), 'kretes', { from: 18_000, to: 18_001 })
  const worker = await work(database, { tasks: { Count: () => {} }, once: true })
  await worker.finished
  const old = await sql`select from pg_class where relname like 'ledger_2019%'`
  assert.is(old.length, 0)
})

async function prepared(): Promise<TestDatabase> {
  const database = await createDatabase()
  await using background = createBackground({ connection: database.url })
  await background.migrate()
  return database
}
