import { RateLimited as PublicRateLimited, Snooze } from '../../../mod.ts'
import { Limit } from '../../../src/limit/limit.ts'
import { RateLimited } from '../../../src/limit/rate-limited.ts'
import { defineTask } from '../../../src/task.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { createRecorder } from '../../worker/work.ts'
import { areRunning, createRecord, haveEnded, isAllDone, type Numbered, payloads, perKey } from '../limits/slots.ts'
import { POLL, prepare, stopWorkers, work } from '../prepare.ts'
import { areHeld, heldUntil, holdsOf, runFree } from './holds.ts'

const test = suite('a job that throws RateLimited')
test.after.each(stopWorkers)

const own = { rate: '1000/min' } as const

test('is snoozed, keeps its time, its priority and its attempts, and has no error', async () => {
  const { database, background } = await prepare()
  const log = createRecorder()
  const Sync = defineTask({
    name: 'Sync',
    limit: own,
    run: () => {
      throw new RateLimited('1h')
    }
  })
  const { id } = await background.schedule({ task: Sync, payload: {}, priority: 7, maxAttempts: 1 })
  const { sql } = database
  const read = async (): Promise<unknown> =>
    (
      await sql`
      select run_at::text, priority, attempts, max_attempts, last_error, locked_by, job_queue_id
      from graphile_worker._private_jobs where id = ${id}`
    )[0]
  const before = await read()
  await work(database, { tasks: { Sync, Free: () => {} }, logger: log, ...POLL })
  await areHeld(database)
  await until(async () => (await background.job(id))?.state === 'waiting')
  await runFree(background)
  assert.equal(await read(), before)
  const runs = await sql`select state, attempt, error from kretes.runs where job_id = ${id}`
  assert.equal(
    runs.map(({ state, attempt, error }) => [state, attempt, error]),
    [['snoozed', 1, null]]
  )
  assert.equal(
    log.of('job.snoozed').map(({ level, fields }) => [level, fields.delayMs, fields.limit]),
    [['info', 3_600_000, 'task Sync']]
  )
  assert.match(log.of('job.snoozed')[0]!.message, / is rate limited for 3600000 ms$/)
  assert.equal([log.of('job.failed').length, log.of('job.retried').length], [0, 0])
})

test('runs again on its last attempt, as often as it is held', async () => {
  const { database, background } = await prepare()
  const seen: number[] = []
  const Sync = defineTask({
    name: 'Sync',
    limit: own,
    run: (_: object, { attempt }) => {
      seen.push(attempt)
      if (seen.length === 1) throw new RateLimited(0)
      if (seen.length === 2) throw new RateLimited({ until: new Date(0) })
      if (seen.length === 3) throw new RateLimited({ until: new Date(Date.now() + 300) })
      if (seen.length === 4) throw new RateLimited(200)
    }
  })
  await work(database, { tasks: { Sync }, ...POLL })
  await background.result(await background.schedule({ task: Sync, payload: {}, maxAttempts: 1 }))
  assert.equal(seen, [1, 1, 1, 1, 1])
})

test('comes first after the hold, and those fetched together with it, in order', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  let [isFirst, threwMs, againMs] = [true, 0, 0]
  const Sync = defineTask({
    name: 'Sync',
    limit: { concurrency: 1, rate: '1000/min' },
    run: record.pass('Sync', ({ n }) => {
      if (threwMs > 0) againMs ||= performance.now()
      if (n !== 3 || !isFirst) return
      isFirst = false
      threwMs = performance.now()
      throw new RateLimited(1_000)
    })
  })
  // All are fetched at once, and stay with the worker until it gives them back.
  await background.scheduleMany({ task: Sync, payloads: payloads(10) })
  await work(database, { tasks: { Sync }, localQueueTtl: 60_000, ...POLL })
  await haveEnded(record, 11)
  assert.equal(
    record.begun,
    [1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10].map(n => `Sync ${n}`)
  )
  assert.ok(againMs >= threwMs + 1_000, `${againMs - threwMs} ms`)
  await isAllDone(database)
})

test('lets those that run go on, and none of the others that its worker has fetched begin', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const gates = { throw: Promise.withResolvers<void>(), end: Promise.withResolvers<void>() }
  const Sync = defineTask({
    name: 'Sync',
    limit: { concurrency: 3 },
    run: record.pass('Sync', async ({ n }) => {
      if (n !== 1) return await gates.end.promise
      await gates.throw.promise
      throw new RateLimited('1h')
    })
  })
  await background.scheduleMany({ task: Sync, payloads: payloads(20) })
  await work(database, { tasks: { Sync, Free: () => {} }, localQueueTtl: 60_000, ...POLL })
  await areRunning(record, 3)
  gates.throw.resolve()
  await areHeld(database)
  gates.end.resolve()
  await haveEnded(record, 3)
  await until(async () => (await database.sql`select from kretes.jobs where state <> 'waiting'`).length === 0)
  await runFree(background)
  assert.equal(record.begun.toSorted(), ['Sync 1', 'Sync 2', 'Sync 3'])
  const rows = await database.sql`select distinct attempts, count(*)::int from kretes.jobs group by 1`
  assert.equal(
    rows.map(({ attempts, count }) => [attempts, count]),
    [[0, 18]]
  )
})

test('lets no job of another task with the same limit begin that its worker has fetched', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const gates = { throw: Promise.withResolvers<void>(), end: Promise.withResolvers<void>() }
  const stripe = Limit.for('stripe', { concurrency: 50 })
  const Refund = defineTask({
    name: 'Refund',
    limit: [{ concurrency: 1 }, stripe],
    run: record.pass('Refund', () => gates.end.promise)
  })
  const Charge = defineTask({
    name: 'Charge',
    limit: stripe,
    run: record.pass('Charge', async () => {
      await gates.throw.promise
      throw new RateLimited('1h')
    })
  })
  await background.scheduleMany({ task: Refund, payloads: payloads(10) })
  await work(database, { tasks: { Refund, Charge, Free: () => {} }, localQueueTtl: 60_000, ...POLL })
  await areRunning(record, 1)
  await background.schedule({ task: Charge, payload: { n: 1 } })
  await areRunning(record, 2)
  gates.throw.resolve()
  await areHeld(database)
  gates.end.resolve()
  await haveEnded(record, 2)
  await until(async () => (await database.sql`select from kretes.jobs where state <> 'waiting'`).length === 0)
  await runFree(background)
  assert.equal(record.begun, ['Refund 1', 'Charge 1'])
})

test('lets no job of another task with the same key of a shared limit begin that its worker has fetched', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const gates = { throw: Promise.withResolvers<void>(), end: Promise.withResolvers<void>() }
  const shop = Limit.for('shop', { concurrency: 50, per: perKey })
  const SyncPrices = defineTask({
    name: 'SyncPrices',
    limit: [{ concurrency: 1 }, shop],
    run: record.pass('SyncPrices', () => gates.end.promise)
  })
  const SyncStock = defineTask({
    name: 'SyncStock',
    limit: shop,
    run: record.pass('SyncStock', async () => {
      await gates.throw.promise
      throw new RateLimited('1h')
    })
  })
  await background.scheduleMany({ task: SyncPrices, payloads: payloads(10, 'a') })
  await work(database, { tasks: { SyncPrices, SyncStock, Free: () => {} }, localQueueTtl: 60_000, ...POLL })
  await areRunning(record, 1)
  await background.schedule({ task: SyncStock, payload: { n: 1, key: 'a' } })
  await areRunning(record, 2)
  gates.throw.resolve()
  await areHeld(database)
  gates.end.resolve()
  await haveEnded(record, 2)
  await until(async () => (await database.sql`select from kretes.jobs where state <> 'waiting'`).length === 0)
  await runFree(background)
  assert.equal(record.begun, ['SyncPrices a 1', 'SyncStock a 1'])
})

for (const [what, limit, queue] of [
  ['of a task without limits', undefined, null],
  ['that SQL has put on a queue', own, 'crm']
] as const) {
  test(`${what} is put off alone, as by Snooze`, async () => {
    const { database } = await prepare()
    const record = createRecord()
    const Sync = defineTask({
      name: 'Sync',
      ...(limit && { limit }),
      run: record.pass('Sync', ({ n }) => {
        if (n === 1) throw new RateLimited('1h')
      })
    })
    const { sql } = database
    await work(database, { tasks: { Sync }, ...POLL })
    for (const n of [1, 2])
      await sql`select graphile_worker.add_job('Sync', ${JSON.stringify({ n })}::text::json, queue_name => ${queue}::text)`
    await haveEnded(record, 2)
    await until(async () => (await sql`select from kretes.jobs`).length === 1)
    const job = await until(async () => {
      const [row] = await sql`
        select attempts, extract(epoch from run_at - now())::float8 as wait from graphile_worker.jobs where locked_at is null`
      return row
    })
    assert.ok(job?.attempts === 0 && job.wait > 3_000 && job.wait <= 3_600, JSON.stringify(job))
    assert.equal(await holdsOf(database), [])
  })
}

test('that SQL has put on no queue holds its limit', async () => {
  const { database } = await prepare()
  const Sync = defineTask({
    name: 'Sync',
    limit: { rate: '1000/min', per: perKey },
    run: (_: Numbered) => {
      throw new RateLimited('1h')
    }
  })
  await work(database, { tasks: { Sync }, ...POLL })
  await database.sql`select graphile_worker.add_job('Sync', '{"key":"a"}')`
  await areHeld(database)
  assert.equal(await holdsOf(database), [['key Sync', 'a']])
})

test('may throw one of another copy of the package, which is checked again', async () => {
  const { database, background } = await prepare()
  const log = createRecorder()
  const marks = { [Symbol.for('kretes.error.snooze')]: true, [Symbol.for('kretes.error.rateLimited')]: true }
  const thrown: unknown[] = [
    { ...marks, delayMs: 0 },
    { ...marks, delayMs: 0, limit: 'stripe' },
    { ...marks, until: new Date(Date.now() * 1_000) },
    { ...marks, until: 'soon' },
    { ...marks, delayMs: Number.POSITIVE_INFINITY },
    { ...marks, delayMs: 0, limit: 5 },
    { ...marks, delayMs: 0, limit: null },
    Object.assign(new PublicRateLimited('1h'), { delayMs: 0 })
  ]
  const Sync = defineTask({
    name: 'Sync',
    limit: [own, Limit.for('stripe', own)],
    run: ({ n }: Numbered) => {
      const error = thrown[n!]
      thrown[n!] = undefined
      if (error !== undefined) throw error
    }
  })
  const payloads = [...thrown.keys()].map(n => ({ n }))
  await work(database, { tasks: { Sync }, logger: log, ...POLL })
  await background.scheduleMany({ task: Sync, payloads, maxAttempts: 1 })
  await until(() => log.of('job.succeeded').length + log.of('job.failed').length === thrown.length)
  const failed =
    await database.sql`select error ->> 'message' as message from kretes.runs where state = 'failed' order by job_id`
  assert.equal([failed.length, log.of('job.snoozed').length], [5, 3])
  for (const { message } of failed) assert.match(message, /^Cannot (snooze|hold the limit)\b/)
})

test('holds for as long as a time can be', async () => {
  const { database, background } = await prepare()
  const latest = '9999-12-31T23:59:59.999Z'
  const Sync = defineTask({
    name: 'Sync',
    limit: own,
    run: () => {
      throw new RateLimited({ until: latest })
    }
  })
  await work(database, { tasks: { Sync, Free: () => {} }, ...POLL })
  const job = await background.schedule({ task: Sync, payload: {} })
  await areHeld(database)
  await runFree(background)
  assert.is((await heldUntil(database))?.toISOString(), latest)
  assert.is((await background.limits.list())[0]?.heldUntil?.toISOString(), latest)
  const [reason] = (await background.why(job)).reasons
  assert.equal([reason?.code, reason?.at?.toISOString()], ['rate-limited', latest])
  assert.ok(new RateLimited('1h') instanceof Snooze && PublicRateLimited === RateLimited)
})
