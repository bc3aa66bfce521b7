import { createBackground } from '../../src/background.ts'
import { Queue } from '../../src/queue.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('scheduleMany()')
const database = await createDatabase()
const { sql, url } = database
const background = createBackground({ connection: url })
onceDone(() => background.close())

test('returns the jobs of a list in its order, each as its call says, in a database that is new', async () => {
  const jobs = await background.scheduleMany([
    { task: 'First', payload: { n: 1 }, priority: 3 },
    { task: 'Second', payload: { n: 2 }, queue: Queue.for('many'), runAt: new Date(2e12) },
    { task: 'Third', payload: { n: 3 }, key: 'third' },
    { task: 'Fourth', payload: { n: 4 }, key: 'third', keyMode: 'preserveRunAt' }
  ])
  assert.equal(
    jobs.map(({ task, priority, queue, key }) => ({ task, priority, queue, key })),
    [
      { task: 'First', priority: 3, queue: null, key: null },
      { task: 'Second', priority: 0, queue: 'many', key: null },
      { task: 'Third', priority: 0, queue: null, key: 'third' },
      { task: 'Fourth', priority: 0, queue: null, key: 'third' }
    ]
  )
  assert.equal(jobs[1]?.runAt, new Date(2e12))
  assert.is(jobs[2]?.id, jobs[3]?.id)
  assert.equal(await payloadsOf(jobs.map(({ id }) => id)), [{ n: 1 }, { n: 2 }, { n: 4 }])
  assert.equal(await background.scheduleMany([]), [])
})

test('cuts any number of payloads into chunks, in order, and tells how far it is', async () => {
  const progress: number[] = []
  const payloads = Array.from({ length: 3_456 }, (_, n) => ({ n }))
  const jobs = await background.scheduleMany(
    { task: 'Payloads', payloads, queue: Queue.for('payloads') },
    { onProgress: sent => progress.push(sent) }
  )
  assert.equal(progress, [1_000, 2_000, 3_000, 3_456])
  assert.equal(await payloadsOf(jobs.map(({ id }) => id)), payloads)
  const rows = await sql<{ n: number }[]>`
    select (payload->>'n')::int as n
    from graphile_worker.jobs join graphile_worker._private_jobs payloads using (id)
    where queue_name = 'payloads' order by jobs.run_at`
  assert.equal(
    rows.map(({ n }) => n),
    payloads.map(({ n }) => n)
  )
})

test('tells jobs apart if all are to run at the same time, and schedules them for that very millisecond', async () => {
  const runAt = new Date('2040-01-02T03:04:05.678Z')
  const payloads = Array.from({ length: 2_500 }, (_, n) => ({ n }))
  const calls = payloads.map(payload => ({ task: 'Timed', payload, runAt }))
  for (const jobs of [
    await background.scheduleMany({ task: 'Timed', payloads, runAt }),
    await background.scheduleMany(calls),
    await Promise.all(calls.map(call => background.schedule(call)))
  ]) {
    assert.equal(await payloadsOf(jobs.map(({ id }) => id)), payloads)
    assert.ok(jobs.every(job => job.runAt.getTime() === runAt.getTime()))
    const rows = await sql`
      select from graphile_worker.jobs
      where id = any(${jobs.map(({ id }) => id)}::bigint[]) and date_trunc('milliseconds', run_at) = ${runAt}`
    assert.is(rows.length, payloads.length)
  }
})

test('puts no job of a queue before one of the same time that was scheduled earlier', async () => {
  const runAt = new Date(2e12)
  const payloads = Array.from({ length: 1_200 }, (_, n) => ({ n }))
  const each = { task: 'Timed', runAt, queue: Queue.for('timed') }
  const given = { ...each, payloads }
  await background.scheduleMany(given, { returning: false })
  await background.scheduleMany(given)
  await background.scheduleMany(payloads.map(payload => ({ ...each, payload })))
  const rows = await sql`
    select distinct run_at as "runAt", count(*)::int from graphile_worker.jobs where queue_name = 'timed' group by 1`
  assert.equal([...rows], [{ runAt, count: 3_600 }])
})

test('returns jobs of any time, those too that are past what a double counts in microseconds', async () => {
  const toRunAt = (n: number) => ({ runAt: new Date(Date.UTC(9999, 11, 31, 23, 59, 59, 999) - (n % 3)) })
  const mixed = Array.from({ length: 30 }, (_, n) => ({
    task: 'AnyTime',
    payload: { n },
    ...(n % 2 ? toRunAt(n) : { delay: n * 1e10 })
  }))
  for (const list of [
    mixed,
    mixed.filter(({ payload }) => payload.n % 2),
    mixed.filter(({ payload }) => payload.n % 2 === 0)
  ]) {
    const jobs = await background.scheduleMany(list)
    assert.equal(
      await payloadsOf(jobs.map(({ id }) => id)),
      list.map(({ payload }) => payload)
    )
    for (const [index, call] of list.entries()) if ('runAt' in call) assert.equal(jobs[index]?.runAt, call.runAt)
  }
})

test('cuts large payloads by their size', async () => {
  const progress: number[] = []
  const payloads = Array.from({ length: 10 }, () => ({ text: 'x'.repeat(900_000) }))
  await background.scheduleMany({ task: 'Large', payloads }, { onProgress: sent => progress.push(sent) })
  assert.equal(progress, [2, 4, 6, 8, 10])
})

test('returns only their number with returning: false, of jobs with keys too', async () => {
  const payloads = Array.from({ length: 2_500 }, (_, n) => ({ n }))
  assert.is(await background.scheduleMany({ task: 'Counted', payloads }, { returning: false }), 2_500)
  assert.is(await countOf('Counted'), 2_500)
  const keyed = payloads.map(payload => ({ task: 'Keyed', payload, key: `key ${payload.n % 1_200}` }))
  assert.is(await background.scheduleMany(keyed, { returning: false }), 2_500)
  assert.is(await countOf('Keyed'), 1_200)
})

test('reads an asynchronous iterable no further than it sends, and leaves it when it fails', async () => {
  let read = 0
  let isLeft = false
  async function* payloads(): AsyncGenerator<object> {
    try {
      for (;;) yield read++ === 2_500 ? { bad: 1n } : { read }
    } finally {
      isLeft = true
    }
  }
  const error = await background.scheduleMany({ task: 'Endless', payloads: payloads() }).catch(thrown => thrown)
  assert.is(error.message, 'Cannot schedule Endless: payload.bad is a BigInt, which JSON cannot hold')
  assert.ok(isLeft)
  assert.is(read, 2_501)
  assert.is(await countOf('Endless'), 0)
})

test('keeps the chunks before a failure if it need not be atomic', async () => {
  const payloads = Array.from({ length: 3_000 }, (_, n) => (n === 2_999 ? { n: Number.NaN } : { n }))
  const call = background.scheduleMany({ task: 'Partial', payloads }, { atomic: false })
  assert.instance(await call.catch(thrown => thrown), TypeError)
  assert.is(await countOf('Partial'), 2_000)
})

test('schedules none if the database refuses one', async () => {
  await sql`
    create function refuse() returns trigger language plpgsql as $$
    begin
      if new.payload->>'n' = '1700' then raise exception 'No such thing'; end if;
      return new;
    end $$`
  await sql`create trigger refuse before insert on graphile_worker._private_jobs for each row execute function refuse()`
  const payloads = Array.from({ length: 3_000 }, (_, n) => ({ n }))
  const error = await background.scheduleMany({ task: 'Refused', payloads }).catch(thrown => thrown)
  await sql`drop function refuse cascade`
  assert.is(error.message, 'No such thing')
  assert.is(await countOf('Refused'), 0)
})

test('schedules none if the connection is lost before the end, and says so', async () => {
  const payloads = async function* (): AsyncGenerator<object> {
    for (let n = 0; n < 4_000; n++) {
      if (n === 3_500) {
        await sql`
          select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and application_name = 'kretes' and state <> 'idle'`
      }
      yield { n }
    }
  }
  const error = await background.scheduleMany({ task: 'Lost', payloads: payloads() }).catch(thrown => thrown)
  assert.is(error.code, 'DATABASE_UNAVAILABLE')
  assert.is(await countOf('Lost'), 0)
  await background.schedule({ task: 'Lost' })
  assert.is(await countOf('Lost'), 1)
})

test('needs no more memory for many than for few', async () => {
  async function* payloads(): AsyncGenerator<object> {
    for (let n = 0; n < COUNT; n++) yield { n, to: 'admin@example.com' }
  }
  await background.scheduleMany({ task: 'Warm', payloads: Array(5_000).fill({}) }, { returning: false })
  const before = process.memoryUsage().rss
  let highest = before
  const count = await background.scheduleMany(
    { task: 'Million', payloads: payloads() },
    { returning: false, onProgress: () => (highest = Math.max(highest, process.memoryUsage().rss)) }
  )
  assert.is(count, COUNT)
  const megabytes = (highest - before) / 2 ** 20
  assert.ok(megabytes < 120, `${megabytes.toFixed()} MB above the start`)
})

/** A million with KRETES_TEST_MANY=1000000; fewer show as well whether memory grows with them. */
const COUNT = Number(process.env.KRETES_TEST_MANY) || 100_000

for (const [what, given, message] of [
  ['no iterable', { task: 'Nothing' }, 'Cannot schedule Nothing: payloads is not iterable'],
  [
    'a list with something else in it',
    ['SendEmail'],
    'Cannot schedule a job: task is of type undefined, neither a task nor a name'
  ],
  ['nothing', undefined, 'Cannot schedule a job: task is of type undefined, neither a task nor a name']
] as const) {
  test(`refuses ${what}`, async () => {
    const error = await background.scheduleMany(given as never).then(
      () => assert.unreachable(),
      thrown => thrown
    )
    assert.instance(error, TypeError)
    assert.is(error.message, message)
  })
}

async function countOf(task: string): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from graphile_worker.jobs where task_identifier = ${task}`
  return row?.count ?? 0
}

/** The payloads of jobs, in the order of the ids given; of equal ids once. */
async function payloadsOf(ids: readonly string[]): Promise<unknown[]> {
  const rows = await sql<{ id: string; payload: unknown }[]>`
    select id, payload from graphile_worker._private_jobs where id = any(${ids}::bigint[])`
  const payloadOf = new Map(rows.map(({ id, payload }) => [id, payload]))
  return [...new Set(ids)].map(id => payloadOf.get(id))
}
