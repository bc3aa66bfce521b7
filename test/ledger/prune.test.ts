import { createBackground } from '../../mod.ts'
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
  await createPartitions(sql, 'kretes', { from: dayOf(at), to: dayOf(at) + 1 })
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
  const { dropped } = await pruneLedger(database.sql, 'graphile_worker', WEEK)
  const today = dayOf(new Date())
  assert.equal(
    dropped.toSorted(),
    [...[partitionOf(today - 33, false), partitionOf(today - 33, true)], partitionOf(today - 9, false)].toSorted()
  )
  assert.equal((await statesOf(database)).toSorted(), ['failed', 'failed', 'succeeded', 'succeeded'])
  assert.equal((await pruneLedger(database.sql, 'graphile_worker', WEEK)).dropped, [])
})

test('keeps for ever what is to be kept for ever, and yesterday in any case', async () => {
  const database = await prepared()
  await record(database, 0, 'succeeded')
  await record(database, 300, 'succeeded')
  await record(database, 300, 'failed')
  await pruneLedger(database.sql, 'graphile_worker', { successesMs: null, failuresMs: false })
  assert.equal(await statesOf(database), ['succeeded', 'succeeded'])
})

test('makes partitions for the days to come', async () => {
  const database = await prepared()
  const inAMonth = new Date(Date.now() + 30 * DAY_MS)
  await pruneLedger(database.sql, 'graphile_worker', { ...WEEK, now: inAMonth })
  const names = (await listPartitions(database.sql, 'kretes')).map(({ name }) => name)
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
  const pruning = pruneLedger(sql, 'graphile_worker', WEEK)
  await until(async () => (await listPartitions(sql, 'kretes')).some(({ state }) => state === 'detaching'))
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
  const due = (await tidyLedger(sql, 'graphile_worker', WEEK, { isThorough: false }))?.due ?? []
  const dropping = dropPartitions(sql, 'graphile_worker', due).catch((error: unknown) => error)
  await until(async () => (await listPartitions(sql, 'kretes')).some(({ state }) => state === 'detaching'))
  await sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where query like 'alter table%' and datname = current_database() and pid <> pg_backend_pid()`
  assert.instance(await dropping, Error)
  await reader`commit`
  reader.release()
  const { dropped } = await pruneLedger(sql, 'graphile_worker', WEEK)
  assert.ok(dropped.includes(old))
  assert.equal(await statesOf(database), [])
  assert.equal(
    (await listPartitions(sql, 'kretes')).filter(({ name }) => name === old),
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
      case when n % 5 > 0 then 'queue' end, 'succeeded', n, n / 2
    from generate_series(1, 30000) n`
  const sums = async (): Promise<unknown[]> => [
    ...(await sql`
      select task, queue, duration_bucket, date_trunc('hour', minute) as hour, sum(runs)::int, sum(waiting_ms), sum(running_ms)
      from kretes.counters group by 1, 2, 3, 4 order by 1, 2, 3, 4`)
  ]
  const rows = async (): Promise<number> => (await sql`select from kretes.counters`).length
  const before = await sums()
  const { folded } = await pruneLedger(sql, 'graphile_worker', WEEK)
  assert.ok(folded > 20_000, `${folded} were folded`)
  assert.equal(await sums(), before)
  assert.ok((await rows()) < 15_000, `${await rows()} rows are left`)
  assert.is((await pruneLedger(sql, 'graphile_worker', WEEK)).folded, 0)
})

test('forgets what was counted longer ago than runs are kept', async () => {
  const database = await prepared()
  const { sql } = database
  await sql`
    insert into kretes.counters
    select date_trunc('minute', now() - day * interval '1 day'), 1, 0, 'Old', null, 'succeeded', 0, 0
    from unnest(array[1, 29, 31]) day`
  await pruneLedger(sql, 'graphile_worker', { ...WEEK, failuresMs: null })
  assert.is((await sql`select from kretes.counters`).length, 3)
  await pruneLedger(sql, 'graphile_worker', WEEK)
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
  await pruneLedger(sql, 'graphile_worker', WEEK)
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
    assert.ok(await lockUpkeep(transaction, 'kretes'))
    assert.is(await tidyLedger(sql, 'graphile_worker', WEEK, { isThorough: true }), undefined)
  })
  assert.is((await tidyLedger(sql, 'graphile_worker', WEEK, { isThorough: true }))?.due.length, 3)
})
