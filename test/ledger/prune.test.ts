import { createBackground } from '../../mod.ts'
import { poolOf } from '../../src/database/connections/pool.ts'
import { executeIn } from '../../src/database/connections/session.ts'
import { dropPartitions, pruneLedger, tidyLedger } from '../../src/ledger/prune.ts'
import { createPartitions, dayOf, partitionOf } from '../../src/sql/ledger/partitions.ts'
import { listPartitions, lockUpkeep } from '../../src/sql/ledger/upkeep.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'

const test = suite('pruneLedger()')

const DAY_MS = 86_400_000
const WEEK = { successesMs: 7 * DAY_MS, failuresMs: 30 * DAY_MS }

async function prepared(): Promise<TestDatabase> {
  const database = await createDatabase()
  await using background = createBackground({ connection: database.url })
  await background.migrate()
  return database
}

/** Records a run that ended so many days ago. */
async function record({ sql }: TestDatabase, daysAgo: number, state: 'succeeded' | 'failed'): Promise<void> {
  const at = new Date(Date.now() - daysAgo * DAY_MS)
  await createPartitions(executeIn(sql), 'kretes', { from: dayOf(at), to: dayOf(at) + 1 })
  await sql`
    insert into kretes.ledger
      (job_id, finished_at, ready_at, scheduled_at, attempt, max_attempts, priority, is_failure, state, task)
    values (1, ${at}, ${at}, ${at}, 1, 1, 0, ${state === 'failed'}, ${state}, 'Old')`
}

const statesOf = async ({ sql }: TestDatabase): Promise<unknown[]> =>
  (await sql`select state from kretes.runs order by finished_at`).map(({ state }) => state)

test('removes whole days of runs that are older than they are kept, failures later than others', async () => {
  const database = await prepared()
  for (const days of [0, 6, 9]) await record(database, days, 'succeeded')
  for (const days of [0, 9, 33]) await record(database, days, 'failed')
  const { dropped } = await pruneLedger(poolOf(database.sql), 'graphile_worker', WEEK)
  const today = dayOf(new Date())
  assert.equal(
    dropped.toSorted(),
    [...[partitionOf(today - 33, false), partitionOf(today - 33, true)], partitionOf(today - 9, false)].toSorted()
  )
  assert.equal((await statesOf(database)).toSorted(), ['failed', 'failed', 'succeeded', 'succeeded'])
  assert.equal((await pruneLedger(poolOf(database.sql), 'graphile_worker', WEEK)).dropped, [])
})

test('keeps for ever what is to be kept for ever, and yesterday in any case', async () => {
  const database = await prepared()
  await record(database, 0, 'succeeded')
  await record(database, 300, 'succeeded')
  await record(database, 300, 'failed')
  await pruneLedger(poolOf(database.sql), 'graphile_worker', { successesMs: null, failuresMs: false })
  assert.equal(await statesOf(database), ['succeeded', 'succeeded'])
})

test('makes partitions for the days to come', async () => {
  const database = await prepared()
  const inAMonth = new Date(Date.now() + 30 * DAY_MS)
  await pruneLedger(poolOf(database.sql), 'graphile_worker', { ...WEEK, now: inAMonth })
  const names = (await listPartitions(executeIn(database.sql), 'kretes')).map(({ name }) => name)
  for (const day of [dayOf(inAMonth) - 1, dayOf(inAMonth), dayOf(inAMonth) + 6]) {
    assert.ok(names.includes(partitionOf(day, false)))
    assert.ok(names.includes(partitionOf(day, true)))
  }
})

test('waits for somebody who reads the old runs, and keeps nobody else waiting', async () => {
  const database = await prepared()
  const { sql } = database
  await record(database, 9, 'succeeded')
  const reader = await sql.reserve()
  await reader`begin`
  await reader`select * from kretes.runs`
  const pruning = pruneLedger(poolOf(sql), 'graphile_worker', WEEK)
  await until(async () => (await listPartitions(executeIn(sql), 'kretes')).some(({ state }) => state === 'detaching'))
  await record(database, 0, 'failed')
  assert.equal(await statesOf(database), ['failed'])
  await reader`commit`
  reader.release()
  assert.equal((await pruning).dropped, [partitionOf(dayOf(new Date()) - 9, false)])
})

test('goes on where it was interrupted', async () => {
  const database = await prepared()
  const { sql } = database
  await record(database, 9, 'succeeded')
  await record(database, 8, 'succeeded')
  const old = partitionOf(dayOf(new Date()) - 9, false)
  const reader = await sql.reserve()
  await reader`begin`
  await reader`select * from kretes.runs`
  const due = (await tidyLedger(poolOf(sql), 'graphile_worker', WEEK))?.due ?? []
  const dropping = dropPartitions(executeIn(sql), 'graphile_worker', due).catch((error: unknown) => error)
  await until(async () => (await listPartitions(executeIn(sql), 'kretes')).some(({ state }) => state === 'detaching'))
  await sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where query like 'alter table%' and datname = current_database() and pid <> pg_backend_pid()`
  assert.instance(await dropping, Error)
  await reader`commit`
  reader.release()
  const { dropped } = await pruneLedger(poolOf(sql), 'graphile_worker', WEEK)
  assert.ok(dropped.includes(old))
  assert.equal(await statesOf(database), [])
  assert.equal(
    (await listPartitions(executeIn(sql), 'kretes')).filter(({ name }) => name === old),
    []
  )
})

test('folds counters into fewer rows with the same sums', async () => {
  const database = await prepared()
  const { sql } = database
  await sql`
    insert into kretes.counters (minute, runs, duration_bucket, task, queue, state, waiting_ms, running_ms)
    select
      date_trunc('minute', now()) - n % 3000 * interval '1 minute', 1 + n % 3, n % 4, 'Task ' || n % 2,
      case when n % 5 > 0 then 'written by a worker of before' end, 'succeeded', n, n / 2
    from generate_series(1, 30000) n`
  const sums = async (): Promise<unknown[]> => [
    ...(await sql`
      select task, duration_bucket, date_trunc('hour', minute) as hour, sum(runs)::int, sum(waiting_ms), sum(running_ms)
      from kretes.counters group by 1, 2, 3 order by 1, 2, 3`)
  ]
  const rows = async (): Promise<number> => (await sql`select from kretes.counters`).length
  const before = await sums()
  // Both times the same, or the second would find counters of the minute that has passed.
  const settings = { ...WEEK, now: new Date() }
  const { folded } = await pruneLedger(poolOf(sql), 'graphile_worker', settings)
  assert.ok(folded > 20_000, `${folded} were folded`)
  assert.equal(await sums(), before)
  assert.ok((await rows()) < 15_000, `${await rows()} rows are left`)
  assert.is((await pruneLedger(poolOf(sql), 'graphile_worker', settings)).folded, 0)
})

test('keeps counters of the busiest queues only, however many there are', async () => {
  const database = await prepared()
  const { sql } = database
  await sql`
    insert into kretes.queue_counters (minute, runs, duration_bucket, queue, state, waiting_ms, running_ms)
    select date_trunc('minute', now()), case when n <= 3 then 100 else 1 end, 0, 'queue ' || n, 'succeeded', 1, 1
    from generate_series(1, 50000) n`
  const { folded } = await pruneLedger(poolOf(sql), 'graphile_worker', WEEK)
  assert.ok(folded > 49_000, `${folded} were folded`)
  const busiest = await sql`select queue from kretes.queues order by succeeded_last_hour desc, queue limit 3`
  assert.equal(
    busiest.map(({ queue }) => queue),
    ['queue 1', 'queue 2', 'queue 3']
  )
  await using background = createBackground({ connection: database.url })
  const { queues } = await background.status()
  assert.equal([queues.length, queues[0]?.queue, queues[0]?.succeeded], [100, 'queue 1', 100])
})

test('says that it is behind when it has to stop, and goes on from there', async () => {
  const database = await prepared()
  const { sql } = database
  await sql`
    insert into kretes.queue_counters (minute, runs, duration_bucket, queue, state, waiting_ms, running_ms)
    select date_trunc('minute', now()), 1, 0, 'queue', 'succeeded', 1, 1 from generate_series(1, 10) n`
  const stopped = await tidyLedger(poolOf(sql), 'graphile_worker', WEEK, AbortSignal.abort())
  assert.equal([stopped?.isBehind, stopped?.folded], [true, 0])
  const done = await tidyLedger(poolOf(sql), 'graphile_worker', WEEK)
  assert.equal([done?.isBehind, done?.folded], [false, 9])
})

test('goes by the clock of the database, whatever that of its host says', async () => {
  const database = await prepared()
  const { sql } = database
  for (const days of [0, 6]) await record(database, days, 'succeeded')
  const Real = globalThis.Date
  globalThis.Date = class extends Real {
    static override now = (): number => Real.now() + 31 * DAY_MS
    constructor(...given: unknown[]) {
      super(...((given.length > 0 ? given : [Real.now() + 31 * DAY_MS]) as [number]))
    }
  } as DateConstructor
  try {
    assert.equal((await pruneLedger(poolOf(sql), 'graphile_worker', WEEK)).dropped, [])
    await using background = createBackground({ connection: database.url })
    assert.equal((await background.prune({ dryRun: true })).dropped, [])
  } finally {
    globalThis.Date = Real
  }
  assert.is((await statesOf(database)).length, 2)
})

test('works where all tables are published', async () => {
  const database = await prepared()
  const { sql } = database
  await record(database, 9, 'succeeded')
  await sql`create publication everything for all tables`
  await sql`
    insert into kretes.counters (minute, runs, duration_bucket, task, state, waiting_ms, running_ms)
    select date_trunc('minute', now()) - n % 2 * interval '40 days', 1, 0, 'Old', 'succeeded', 0, 0
    from generate_series(1, 10) n`
  await sql`
    insert into kretes.queue_counters (minute, runs, duration_bucket, queue, state, waiting_ms, running_ms)
    select date_trunc('minute', now()), 1, 0, 'queue', 'succeeded', 1, 1 from generate_series(1, 10) n`
  await sql`delete from kretes.ledger where state = 'lost'`
  const { dropped, folded } = await pruneLedger(poolOf(sql), 'graphile_worker', WEEK)
  assert.equal([dropped.length, folded], [1, 9])
  const unidentified = await sql`
    select relname from pg_class
    where relnamespace = 'kretes'::regnamespace and relkind = 'r' and relpersistence = 'p' and relreplident <> 'f'
      and not exists (select from pg_index where indrelid = pg_class.oid and indisprimary)`
  assert.equal([...unidentified], [])
})

test('forgets what was counted longer ago than runs are kept', async () => {
  const database = await prepared()
  const { sql } = database
  await sql`
    insert into kretes.counters (minute, runs, duration_bucket, task, state, waiting_ms, running_ms)
    select date_trunc('minute', now() - day * interval '1 day'), 1, 0, 'Old', 'succeeded', 0, 0
    from unnest(array[1, 29, 31]) day`
  await pruneLedger(poolOf(sql), 'graphile_worker', { ...WEEK, failuresMs: null })
  assert.is((await sql`select from kretes.counters`).length, 3)
  await pruneLedger(poolOf(sql), 'graphile_worker', WEEK)
  assert.is((await sql`select from kretes.counters`).length, 2)
})

test('removes those who wait no longer, and the progress of jobs that run no longer', async () => {
  const database = await prepared()
  const { sql } = database
  await sql`insert into kretes.waiters values (1, 'gone', now() - interval '1 s'), (1, 'here', now() + interval '1 minute')`
  const [job] = await sql`select id from graphile_worker.add_job('Running')`
  await sql`update graphile_worker._private_jobs set locked_at = now(), locked_by = 'me'`
  await sql`
    insert into kretes.progress (job_id, attempt, updated_at)
    values (${job?.id}, 1, now() - interval '1 hour'), (0, 1, now() - interval '1 hour'), (-1, 1, now())`
  await pruneLedger(poolOf(sql), 'graphile_worker', WEEK)
  assert.equal(
    (await sql`select listener from kretes.waiters`).map(({ listener }) => listener),
    ['here']
  )
  assert.equal(
    (await sql`select job_id from kretes.progress order by 1`).map(({ job_id }) => job_id),
    ['-1', job?.id]
  )
})

test('is done by one at a time', async () => {
  const database = await prepared()
  const { sql } = database
  for (const days of [8, 9, 10]) await record(database, days, 'succeeded')
  await sql.begin(async transaction => {
    assert.ok(await lockUpkeep(executeIn(transaction), 'kretes'))
    assert.is(await tidyLedger(poolOf(sql), 'graphile_worker', WEEK), undefined)
  })
  assert.is((await tidyLedger(poolOf(sql), 'graphile_worker', WEEK))?.due.length, 3)
})
