import { createBackground } from '../../../src/background.ts'
import { Limit } from '../../../src/limit/limit.ts'
import { forgetStarts, recordStarts } from '../../../src/sql/flow/rates.ts'
import type { Execute } from '../../../src/sql/statement.ts'
import { defineTask } from '../../../src/task.ts'
import { onceDone } from '../../helpers/cleanup.ts'
import { createDatabase } from '../../helpers/database.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { perKey } from '../limits/slots.ts'
import { POLL, registered, work } from '../prepare.ts'

const test = suite('the starts in the database')

const database = await createDatabase()
const { sql } = database
const background = createBackground({ connection: database.url })
onceDone(() => background.close())
const tasks = {
  Hourly: defineTask({ name: 'Hourly', limit: { rate: '20000/h' }, run: () => {} }),
  Keyed: defineTask({
    name: 'Keyed',
    limit: [Limit.for('daily', { rate: '9/d' }), { rate: '5/10s', per: perKey }],
    run: () => {}
  }),
  Free: defineTask({ name: 'Free', limit: { concurrency: 1 }, run: () => {} })
}
// It registers the limits.
const worker = await work(database, { tasks, ...POLL })
await registered(database)
await worker.stop()

const execute: Execute = async ({ text, values }) => (await sql.unsafe(text, values as never[])) as never

test.before.each(async () => {
  await sql`delete from kretes.starts`
  await sql`delete from kretes.holds`
})

/** Counts claimed jobs of a limit. */
async function claimed(name: string, number: number, count: number, part = '', worker = 'me'): Promise<void> {
  await sql`
    insert into kretes.starts (limit_name, part, worker, number, count, at)
    values (${name}, ${part}, ${worker}, ${number}, ${count}, clock_timestamp() + interval '0.5 seconds')`
}

/** How many milliseconds ago the rows of a limit say that jobs have begun, those of no worker and the earliest first. */
async function agesOf(name: string): Promise<readonly { worker: string; part: string; count: number; ms: number }[]> {
  return await sql`
    select worker, part, count, extract(epoch from clock_timestamp() - at)::float8 * 1000 as ms
    from kretes.starts where limit_name = ${name} order by worker, at, part`
}

const agoMs = (ms: number): number => performance.now() - ms

test('replace what a worker has claimed, in each limit and key of its lane, and nothing of other workers', async () => {
  await claimed('key Keyed', 7, 3, 'a')
  await claimed('limit daily', 7, 3)
  await claimed('key Keyed', 8, 2, 'b')
  await claimed('key Keyed', 7, 4, 'a', 'another')
  const [early, late] = [agoMs(4_000), agoMs(2_000)]
  await execute(recordStarts('graphile_worker', 'me', [{ number: 7, startsMs: [early, late, late] }]))
  const keys = await agesOf('key Keyed')
  assert.equal(
    keys.map(({ worker, part, count }) => [worker, part, count]),
    [
      ['', 'a', 1],
      ['', 'a', 2],
      ['another', 'a', 4],
      ['me', 'b', 2]
    ]
  )
  // No earlier than they were.
  assert.ok(keys[0]!.ms <= performance.now() - early, `${keys[0]!.ms} ms ago`)
  assert.ok(keys[1]!.ms <= performance.now() - late, `${keys[1]!.ms} ms ago`)
  const [all] = await agesOf('limit daily')
  assert.equal([all?.worker, all?.count], ['', 3])
})

test('never say that a job has begun earlier than it has', async () => {
  for (let number = 1; number <= 50; number++) {
    await sql`delete from kretes.starts`
    await claimed('key Keyed', number, 1, 'a')
    const [before] = await sql<{ at: string }[]>`select clock_timestamp()::text as at`
    await execute(recordStarts('graphile_worker', 'me', [{ number, startsMs: [performance.now()] }]))
    const early = await sql`select at from kretes.starts where at < ${before!.at}::text::timestamptz`
    assert.equal([...early], [])
  }
})

test('are kept in about a hundred rows, however many jobs have begun within the period', async () => {
  const numbers = Array.from({ length: 10 }, (_, index) => index)
  for (const number of numbers) await claimed('task Hourly', number, 1_000)
  // A job for each 0.36 seconds of the last hour.
  const nowMs = performance.now()
  const startsOf = (number: number): number[] =>
    Array.from({ length: 1_000 }, (_, index) => nowMs - (number * 1_000 + index) * 360)
  const begun = numbers.map(number => ({ number, startsMs: startsOf(number) }))
  await execute(recordStarts('graphile_worker', 'me', begun))
  const rows = await agesOf('task Hourly')
  assert.ok(rows.length >= 100 && rows.length <= 102, `${rows.length} rows`)
  assert.is(
    rows.reduce((sum, { count }) => sum + count, 0),
    10_000
  )
  // Each holds jobs of the same 36 seconds.
  const wrong = await sql`select from kretes.starts where number <> floor(extract(epoch from at) / 36)`
  assert.is(wrong.length, 0)
})

test('are forgotten a period later, and without a rate at once', async () => {
  const old = async (name: string, part: string, age: string): Promise<unknown> =>
    await sql`
    insert into kretes.starts (limit_name, part, worker, number, count, at)
    select ${name}, ${part}, worker, row_number() over (), 1, clock_timestamp() - ${age}::text::interval
    from unnest(array['', 'lost']) worker`
  await old('task Hourly', '', '59 minutes')
  await old('task Hourly', 'old', '61 minutes')
  await old('limit daily', '', '23 hours')
  await old('limit daily', 'old', '25 hours')
  await old('key Keyed', 'a', '5 seconds')
  await old('key Keyed', 'old', '11 seconds')
  await old('task Free', 'old', '1 second')
  await old('task Gone', 'old', '1 second')
  await sql`
    insert into kretes.holds (limit_name, part, until)
    values ('task Hourly', '', now() + interval '1 minute'), ('task Hourly', 'old', now() - interval '1 second')`
  await forgetStarts(execute, 'graphile_worker')
  const left =
    await sql`select limit_name as name, part, count(*)::int as rows from kretes.starts group by 1, 2 order by 1`
  assert.equal(
    left.map(({ name, part, rows }) => [name, part, rows]),
    [
      ['key Keyed', 'a', 2],
      ['limit daily', '', 2],
      ['task Hourly', '', 2]
    ]
  )
  assert.equal(
    (await sql`select part from kretes.holds`).map(({ part }) => part),
    ['']
  )
})

test('are not forgotten while another statement has locked them, and nothing waits for it', async () => {
  await sql`
    insert into kretes.starts (limit_name, part, worker, number, count, at)
    select 'task Hourly', '', '', n, 1, clock_timestamp() - interval '2 hours' from generate_series(1, 2) n`
  await sql.begin(async session => {
    await session`select from kretes.starts where number = 1 for update`
    await forgetStarts(execute, 'graphile_worker')
    assert.equal(
      (await session`select number::int from kretes.starts`).map(({ number }) => number),
      [1]
    )
  })
  await forgetStarts(execute, 'graphile_worker')
  assert.is((await sql`select from kretes.starts`).length, 0)
})
