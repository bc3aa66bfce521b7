import { createBackground } from '../../mod.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { beats, createRecorder, fill, type Recorder, work } from './work.ts'

const test = suite('a worker that cannot write its ledger')

async function prepared(): Promise<TestDatabase> {
  const database = await createDatabase()
  const background = createBackground({ connection: database.url })
  onceDone(() => background.close())
  await background.migrate()
  return database
}

/** What its jobs do, and how often each was run. */
function createTasks() {
  const runs = new Map<string, number>()
  const ran = (id: string): void => void runs.set(id, (runs.get(id) ?? 0) + 1)
  const tasks = {
    Fine: (_input: unknown, { job }: { job: { id: string } }) => ran(job.id),
    Fail: (_input: unknown, { job }: { job: { id: string } }) => {
      ran(job.id)
      throw new Error('it fails')
    }
  }
  return { tasks, runs }
}

const left = async ({ sql }: TestDatabase): Promise<number> =>
  (await sql`select from graphile_worker.jobs where attempts = 0 or locked_at is not null`).length

async function demandAll({ sql }: TestDatabase, log: Recorder, count: number): Promise<void> {
  const rows = await sql`select job_id, count(*)::int, min(state) as state from kretes.runs group by 1`
  assert.is(rows.length, count)
  assert.equal([...new Set(rows.map(row => row.count))], [1])
  assert.is(log.of('worker.blocked').length, 1)
  assert.match(log.of('worker.blocked')[0]?.message ?? '', /^Cannot write how jobs ended: .+; completions wait$/)
  await until(() => log.of('worker.unblocked').length === 1)
}

const troubles = {
  'because its table is gone': [
    (sql: TestDatabase['sql']) => sql`alter table kretes.ledger rename to mislaid`,
    (sql: TestDatabase['sql']) => sql`alter table kretes.mislaid rename to ledger`
  ],
  'because a column is gone': [
    (sql: TestDatabase['sql']) => sql`alter table kretes.counters rename waiting_ms to mislaid`,
    (sql: TestDatabase['sql']) => sql`alter table kretes.counters rename mislaid to waiting_ms`
  ],
  'because a row is refused': [
    (sql: TestDatabase['sql']) => sql`alter table kretes.counters add constraint refused check (false) not valid`,
    (sql: TestDatabase['sql']) => sql`alter table kretes.counters drop constraint refused`
  ]
} as const

for (const [reason, [break_, restore]] of Object.entries(troubles)) {
  test(`${reason} waits, and neither drops runs nor fails jobs nor runs them twice`, async () => {
    const database = await prepared()
    const log = createRecorder()
    const { tasks, runs } = createTasks()
    await using _worker = await work(database, { logger: log, tasks, backoff: () => 3_600_000 })
    await break_(database.sql)
    await fill(database, 'Fine', 50)
    await fill(database, 'Fine', 10, { queue: 'one by one' })
    await fill(database, 'Fail', 5)
    await until(() => runs.size >= 56 && log.of('worker.blocked').length > 0)
    assert.is((await database.sql`select from graphile_worker.jobs`).length, 65)
    await restore(database.sql)
    await until(async () => (await left(database)) === 0)
    assert.is(runs.size, 65)
    assert.equal([...new Set(runs.values())], [1])
    await demandAll(database, log, 65)
    const failed = await database.sql`select last_error from graphile_worker.jobs`
    assert.equal([...new Set(failed.map(job => job.last_error.split('\n')[0]))], ['Error: it fails'])
  })
}

test('for want of a partition makes one', async () => {
  const database = await prepared()
  const log = createRecorder()
  const { tasks, runs } = createTasks()
  const { sql } = database
  await using _worker = await work(database, { logger: log, tasks })
  const partitions =
    await sql`select inhrelid::regclass::text as name from pg_inherits where inhparent = 'kretes.ledger'::regclass`
  for (const { name } of partitions) await sql`drop table ${sql.unsafe(name)}`
  await fill(database, 'Fine', 20)
  await until(async () => (await left(database)) === 0)
  assert.equal([...new Set(runs.values())], [1])
  assert.is((await sql`select from kretes.runs`).length, 20)
})

test('fetches no more once too many jobs wait to be written off', async () => {
  const database = await prepared()
  const log = createRecorder()
  const { tasks, runs } = createTasks()
  await using _worker = await work(database, { logger: log, tasks, concurrency: 50 })
  await database.sql`alter table kretes.ledger rename to mislaid`
  await fill(database, 'Fine', 4_000)
  await until(async () => {
    const [locked] = await database.sql<{ count: number }[]>`
      select count(*)::int from graphile_worker.jobs where locked_at is not null`
    return runs.size > 1_000 && runs.size === locked?.count
  })
  await beats(database, 2)
  assert.ok(runs.size < 3_000, `${runs.size} were run`)
  await database.sql`alter table kretes.mislaid rename to ledger`
  await until(async () => (await left(database)) === 0)
  assert.is(runs.size, 4_000)
  await demandAll(database, log, 4_000)
})

test('stops when it is asked to, and leaves nothing to be run again that has finished', async () => {
  const database = await prepared()
  const log = createRecorder()
  const { tasks, runs } = createTasks()
  const gate = Promise.withResolvers<void>()
  const worker = await work(database, { logger: log, tasks: { ...tasks, Deaf: () => gate.promise } })
  await database.sql`alter table kretes.ledger rename to mislaid`
  await fill(database, 'Fine', 3)
  await fill(database, 'Fine', 1, { queue: 'one by one' })
  await fill(database, 'Deaf', 1)
  await until(() => runs.size === 4 && worker.running === 1)
  await worker.stop({ timeout: 100 })
  gate.resolve()
  const jobs = await database.sql`select task_identifier as task, locked_at, attempts from graphile_worker.jobs`
  assert.equal([...jobs], [{ task: 'Deaf', locked_at: null, attempts: 0 }])
  const locked = await database.sql`select from graphile_worker._private_job_queues where locked_by is not null`
  assert.is(locked.length, 0)
  const [failed] = log.of('ledger.failed')
  assert.equal([failed?.level, failed?.fields.runs], ['error', 5])
  assert.match(failed?.message ?? '', /^Cannot record 5 runs of a worker that stops: .+"kretes\.ledger"/)
})

test('stops within its time while somebody changes the ledger, and runs nothing twice', async () => {
  const database = await prepared()
  const { sql } = database
  const log = createRecorder()
  const { tasks, runs } = createTasks()
  const worker = await work(database, { logger: log, tasks })
  await sql.begin(async transaction => {
    await transaction`lock table kretes.ledger in access exclusive mode`
    await fill(database, 'Fine', 2)
    await until(() => runs.size === 2)
    await worker.stop({ timeout: 100 })
  })
  assert.is((await sql`select from graphile_worker.jobs`).length, 0)
  assert.is(log.of('ledger.failed')[0]?.fields.runs, 2)
  assert.is((await sql`select from kretes.workers`).length, 0)
})
