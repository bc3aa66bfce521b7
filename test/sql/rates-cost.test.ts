import { createBackground } from '../../src/background.ts'
import type { Choice } from '../../src/sql/flow/choice.ts'
import { claimLanes } from '../../src/sql/flow/lanes.ts'
import { recordStarts } from '../../src/sql/flow/rates.ts'
import type { Statement } from '../../src/sql/statement.ts'
import { defineTask } from '../../src/task.ts'
import { payloads, perKey } from '../flow/limits/slots.ts'
import { POLL, registered, work } from '../flow/prepare.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createClaiming } from './claiming.ts'

const test = suite('what it costs to count jobs that have begun')

const { sql, database, clear, pagesOf } = await createClaiming()
const background = createBackground({ connection: database.url })
onceDone(() => background.close())
const tasks = {
  Plain: defineTask({ name: 'Plain', limit: [{ concurrency: 9 }, { concurrency: 9, per: perKey }], run: () => {} }),
  Rated: defineTask({ name: 'Rated', limit: { rate: '1000/d', per: perKey }, run: () => {} }),
  Whole: defineTask({ name: 'Whole', limit: { rate: '20000/d' }, run: () => {} })
}
// It registers the limits.
const worker = await work(database, { tasks, ...POLL })
await registered(database)
await worker.stop()

const CHOICE: Choice = {
  tasks: Object.keys(tasks),
  versions: {},
  queues: { kind: 'except', names: [] },
  limited: Object.keys(tasks)
}

test.before.each(async () => {
  await clear()
  await sql`truncate kretes.leases, kretes.starts`
})

/** Schedules jobs of a task and a key. Returns their lane. */
async function add(task: keyof typeof tasks, key = 'a', count = 20): Promise<number> {
  await background.scheduleMany({ task: tasks[task], payloads: payloads(count, key) })
  const [row] = await sql<{ lane: number }[]>`select max(job_queue_id) as lane from graphile_worker._private_jobs`
  return row!.lane
}

/** Lets jobs of many keys have begun: a hundred rows for each key. */
async function fill(keys: number): Promise<void> {
  await sql`
    insert into kretes.starts (limit_name, part, worker, number, count, at)
    select 'key Rated', 'key ' || key, '', n, 1, now() - n * interval '14 minutes'
    from generate_series(1, ${keys}::int) key, generate_series(1, 100) n`
  await sql`vacuum analyze kretes.starts`
}

function claim(lane: number): Statement {
  return claimLanes('graphile_worker', {
    worker: 'me',
    lanes: [lane],
    choice: CHOICE,
    slots: 5,
    jobs: 100,
    run: 1,
    most: new Map(),
    number: 0,
    beginWithinMs: 500
  })
}

/** How many rows of the table of starts a statement reads, and from how many pages it does. */
async function readsOf({ text, values }: Statement): Promise<number> {
  return await sql.begin(async session => {
    await session.unsafe(text, values as never[])
    const [row] = await session<{ reads: number }[]>`
      select (seq_tup_read + coalesce(idx_tup_fetch, 0))::int as reads
      from pg_stat_xact_user_tables where schemaname = 'kretes' and relname = 'starts'`
    return row!.reads
  })
}

test('is nothing for jobs whose limits have no rate', async () => {
  const lane = await add('Plain')
  await fill(20)
  assert.is(await readsOf(claim(lane)), 0)
  assert.is((await sql`select from graphile_worker._private_jobs where locked_by = 'me'`).length, 5)
})

test('is no more for a key, however many jobs of other keys have begun', async () => {
  const lane = await add('Rated')
  await fill(400)
  const reads = await readsOf(claim(lane))
  assert.ok(reads < 20, `${reads} rows were read`)
  assert.is((await sql`select from graphile_worker._private_jobs where locked_by = 'me'`).length, 5)
})

test('is a few hundred rows for a key of which 10,000 jobs have begun', async () => {
  const lane = await add('Whole')
  await sql`
    insert into kretes.starts (limit_name, part, worker, number, count, at)
    select 'task Whole', '', '', n, 100, now() - n * interval '14 minutes' from generate_series(1, 100) n`
  const reads = await readsOf(claim(lane))
  assert.ok(reads <= 400, `${reads} rows were read`)
})

test('is no more to record when jobs have begun, however many of other keys have', async () => {
  await sql`
    insert into kretes.starts (limit_name, part, worker, number, count, at) values ('key Rated', 'a', 'me', 1, 1, now())`
  await fill(400)
  const pages = await pagesOf(recordStarts('graphile_worker', 'me', [{ number: 1, startsMs: [performance.now()] }]))
  assert.equal(
    (await sql`select worker, number > 1 as "isRecorded" from kretes.starts where part = 'a'`).map(row => ({ ...row })),
    [{ worker: '', isRecorded: true }]
  )
  assert.ok(pages < 100, `${pages} pages were read`)
})
