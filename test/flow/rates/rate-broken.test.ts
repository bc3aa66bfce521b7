import { setTimeout as sleep } from 'node:timers/promises'
import { Limit } from '../../../src/limit/limit.ts'
import { defineTask } from '../../../src/task.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { isAllDone, payloads, perKey } from '../limits/slots.ts'
import { type Prepared, prepare, stopWorkers, work } from '../prepare.ts'
import { areRecorded, createTimes, haveBegun, keepsRate } from './rate-times.ts'

const test = suite('the rate of workers')
test.after.each(stopWorkers)
const testLost = suite('the rate of jobs that were lost with a worker')
testLost.after.each(stopWorkers)

test('is kept while their connections break again and again', async () => {
  const { database, background } = await prepare()
  const { sql } = database
  const times = createTimes()
  const Timed = defineTask({
    name: 'Timed',
    limit: [Limit.for('shared', { rate: '30/s' }), { rate: '12/s', per: perKey }],
    run: times.note('Timed')
  })
  const keys = ['a', 'b', 'c', 'd']
  for (const key of keys) await background.scheduleMany({ task: Timed, payloads: payloads(40, key) })
  for (let n = 0; n < 2; n++) await work(database, { tasks: { Timed } })
  let broken = 0
  for (let round = 1; round <= 4; round++) {
    await until(() => times.starts.length >= round * 25)
    const ended = await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and application_name like 'kretes%'`
    broken += ended.length
  }
  assert.ok(broken > 8, `${broken} connections`)
  await haveBegun(() => times.starts, 160)
  await isAllDone(database)
  keepsRate(times.starts, 30)
  for (const key of keys) {
    keepsRate(
      times.starts.filter(start => start.key === key),
      12
    )
  }
  assert.is(new Set(times.starts.map(({ key, n }) => `${key} ${n}`)).size, 160)
})

test('is kept when it is made lower and higher meanwhile', async () => {
  const { database, background } = await prepare()
  const times = createTimes()
  const Timed = defineTask({ name: 'Timed', limit: { rate: '20/s' }, run: times.note('Timed') })
  await background.scheduleMany({ task: Timed, payloads: payloads(120) })
  for (let n = 0; n < 2; n++) await work(database, { tasks: { Timed }, pollInterval: 500 })
  await haveBegun(() => times.starts, 20)
  await background.limits.set({ task: 'Timed', rate: '4/s' })
  // Those that were fetched earlier may still begin.
  const { length } = times.starts
  await haveBegun(() => times.starts, length + 32)
  await background.limits.set({ task: 'Timed', rate: '30/s' })
  await haveBegun(() => times.starts, 120)
  await isAllDone(database)
  keepsRate(times.starts, 30)
  keepsRate(times.starts.slice(length + 20, length + 32), 4)
  keepsRate(times.starts.slice(0, length + 32), 20)
})

/** Lets jobs look as if so many workers were lost with each of them, and lets it take a while to mark that one has started. */
async function lose({ database: { sql } }: Prepared, losses: number): Promise<void> {
  await sql`update graphile_worker._private_jobs set flags = flags || ${sql.json({ 'kretes:lost': losses })}`
  await sql`
    create function slow_mark() returns trigger language plpgsql as 'begin perform pg_sleep(0.4); return new; end'`
  await sql`
    create trigger slow_mark before update on graphile_worker._private_jobs for each row
    when (new.flags ? 'kretes:started' and not old.flags ? 'kretes:started') execute function slow_mark()`
}

testLost('counts each when it has begun, although it takes a while to mark it before', async () => {
  const prepared = await prepare()
  const { database, background } = prepared
  const began: number[] = []
  const Timed = defineTask({
    name: 'Timed',
    limit: { rate: '1/h' },
    run: () => void began.push(performance.timeOrigin + performance.now())
  })
  await background.schedule({ task: Timed })
  await lose(prepared, 1)
  await work(database, { tasks: { Timed } })
  await until(() => began.length === 1)
  await areRecorded(database)
  const [row] = await database.sql<{ at: number }[]>`
    select extract(epoch from at)::float8 * 1000 as at from kretes.starts`
  assert.ok(row!.at >= began[0]! - 10, `it counts ${began[0]! - row!.at} ms earlier`)
})

testLost('is kept by suspects, which run one at a time', async () => {
  const prepared = await prepare()
  const { database, background } = prepared
  const times = createTimes()
  const Timed = defineTask({
    name: 'Timed',
    limit: { rate: '3/s' },
    run: times.note('Timed', ({ n }) => sleep(n! <= 3 ? 500 : 0))
  })
  await background.scheduleMany({ task: Timed, payloads: payloads(3) })
  await lose(prepared, 2)
  await background.scheduleMany({ task: Timed, payloads: payloads(15).slice(3) })
  await work(database, { tasks: { Timed } })
  await haveBegun(() => times.starts, 15)
  await isAllDone(database)
  keepsRate(times.starts, 3)
})
