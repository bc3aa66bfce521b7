import type { Why } from '../../../src/diagnose/why.ts'
import { Limit, type Limits } from '../../../src/limit/limit.ts'
import { RateLimited } from '../../../src/limit/rate-limited.ts'
import { type DefinedTask, defineTask } from '../../../src/task.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { areRunning, createRecord, type Numbered, perKey, type Record } from '../limits/slots.ts'
import { countLocked, POLL, type Prepared, prepare, stopWorkers, work } from '../prepare.ts'
import { areHeld, heldUntil } from './holds.ts'

const test = suite('why() a job waits for a rate')
test.after.each(stopWorkers)

const HOUR_MS = 3_600_000
const codesOf = ({ reasons }: Why): string[] => reasons.map(({ code }) => code)
const passing = (name: string, limit: Limits<Numbered>, record: Record): DefinedTask<Numbered> =>
  defineTask({ name, limit, run: record.pass(name) as never })

/** Waits until no worker has a job, and all that have begun are recorded. Returns when the first one has begun, by limit. */
async function settled({ database }: Prepared): Promise<{ readonly [limit: string]: number }> {
  await until(async () => (await countLocked(database)) === 0)
  await until(async () => (await database.sql`select from kretes.starts where worker <> ''`).length === 0)
  const rows = await database.sql<{ name: string; at: Date }[]>`
    select limit_name || ' ' || part as name, min(at) as at from kretes.starts group by 1`
  return Object.fromEntries(rows.map(({ name, at }) => [name.trimEnd(), at.getTime()]))
}

test('says how many have begun, when the next can, and how many jobs come before it', async () => {
  const prepared = await prepare()
  const { database, background } = prepared
  const record = createRecord()
  const Charge = passing('Charge', { rate: '2/h' }, record)
  await work(database, { tasks: { Charge }, ...POLL })
  const beforeMs = Date.now()
  const jobs = await background.scheduleMany({ task: Charge, payloads: [1, 2, 3, 4].map(n => ({ n })) })
  await until(() => record.ended === 2)
  const { 'task Charge': firstMs } = await settled(prepared)
  assert.ok(firstMs! >= beforeMs - 2 && firstMs! <= Date.now() + 2)
  for (const [job, count, place] of [
    [jobs[2]!, 0, 'no job of its task comes before it'],
    [jobs[3]!, 1, '1 job of its task comes before it']
  ] as const) {
    const { reasons } = await background.why(job)
    const at = new Date(firstMs! + HOUR_MS)
    assert.equal(
      reasons.map(({ code, message, count, at }) => [code, message, count, at]),
      [
        [
          'rate-reached',
          `It waits for the limit of Charge: its rate is 2/h, and 2 jobs have begun. The next can at ${at.toISOString()}; ${place}`,
          count,
          at
        ]
      ]
    )
  }
  assert.equal(record.begun, ['Charge 1', 'Charge 2'])
})

test('names the key, and gives no such reason for another key', async () => {
  const prepared = await prepare()
  const { database, background } = prepared
  const record = createRecord()
  const Charge = passing('Charge', { rate: '1/day', per: perKey }, record)
  await work(database, { tasks: { Charge }, ...POLL })
  for (const key of ['a b', '']) {
    await background.result(await background.schedule({ task: Charge, payload: { n: 1, key } }))
    const waiting = await background.schedule({ task: Charge, payload: { n: 2, key } })
    await settled(prepared)
    const { code, message } = (await background.why(waiting)).reasons[0]!
    const shown = key === '' ? "''" : key
    assert.is(code, 'rate-reached')
    assert.match(
      message,
      `It waits for the limit of Charge for the key ${shown}: its rate is 1/d, and 1 job has begun. The next can at 2`
    )
    assert.match(message, / no job of its key comes before it$/)
  }
  // Once it has begun, its key is used up.
  await stopWorkers()
  const other = await background.schedule({ task: Charge, payload: { n: 1, key: 'c' } })
  assert.not(codesOf(await background.why(other)).includes('rate-reached'))
})

test('says so while the jobs of the rate still run, and for each limit that is reached', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const stripe = Limit.for('stripe', { rate: '1/h' })
  const Charge = defineTask({
    name: 'Charge',
    limit: [{ concurrency: 1, rate: '1/30m' }, stripe],
    run: record.hold('Charge')
  })
  await work(database, { tasks: { Charge }, ...POLL })
  await background.schedule({ task: Charge, payload: { n: 1 } })
  await areRunning(record, 1)
  const waiting = await background.schedule({ task: Charge, payload: { n: 2 } })
  const { reasons } = (await until(async () => {
    const found = await background.why(waiting)
    return codesOf(found).length === 3 && found
  })) as Why
  assert.equal(
    reasons.map(({ code, message }) => [code, message.replace(/(can at|by) [^;]+/, '$1 …')]),
    [
      [
        'rate-reached',
        'It waits for the limit stripe: its rate is 1/h, and 1 job has begun. The next can at …; no job of its task comes before it'
      ],
      [
        'rate-reached',
        'It waits for the limit of Charge: its rate is 1/30min, and 1 job has begun. The next can at …; no job of its task comes before it'
      ],
      ['limit-reached', 'It waits for the limit of Charge: 1 of 1 in use, by …; no job of its task comes before it']
    ]
  )
  // Until the database knows when the job has begun, it counts as begun a little later.
  assert.is(Math.round((reasons[0]!.at!.getTime() - reasons[1]!.at!.getTime()) / 60_000), 30)
  record.open()
})

test('says until when a limit is held, and for which key', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Sync = defineTask({
    name: 'Sync',
    limit: [{ rate: '1/h', per: perKey }, Limit.for('stripe', { rate: '100/h' })],
    run: record.pass('Sync', ({ key }) => {
      throw new RateLimited('2h', key === 'b' ? { limit: 'stripe' } : {})
    })
  })
  await work(database, { tasks: { Sync }, ...POLL })
  const job = await background.schedule({ task: Sync, payload: { n: 1, key: 'a' } })
  await areHeld(database)
  const at = (await heldUntil(database))!
  const place = '; no job of its key comes before it'
  const { reasons } = (await until(async () => {
    const found = await background.why(job)
    return codesOf(found)[0] === 'rate-limited' && found
  })) as Why
  assert.equal(codesOf({ job: null, reasons }), ['rate-limited', 'rate-reached'])
  assert.is(
    reasons[0]!.message,
    `It waits until ${at.toISOString()}: a run has held the limit of Sync for the key a (RateLimited)${place}`
  )
  assert.equal([reasons[0]!.at, reasons[0]!.count], [at, 0])
  assert.match(
    reasons[1]!.message,
    /^It waits for the limit of Sync for the key a: its rate is 1\/h, and 1 job has begun/
  )
  await background.schedule({ task: Sync, payload: { n: 1, key: 'b' } })
  await areHeld(database, 2)
  const other = await background.schedule({ task: Sync, payload: { n: 1, key: 'c' } })
  const [reason] = (await background.why(other)).reasons
  assert.is(reason?.code, 'rate-limited')
  assert.match(
    String(reason?.message),
    /^It waits until 2.+Z: a run has held the limit stripe \(RateLimited\); no job /
  )
})

test('says so for a job that comes due, and not before', async () => {
  const prepared = await prepare()
  const { database, background } = prepared
  const record = createRecord()
  const Charge = passing('Charge', { rate: '1/h' }, record)
  await work(database, { tasks: { Charge }, ...POLL })
  const later = await background.schedule({ task: Charge, payload: { n: 2 }, delay: '1h' })
  await background.result(await background.schedule({ task: Charge, payload: { n: 1 } }))
  await settled(prepared)
  assert.equal(codesOf(await background.why(later)), ['scheduled'])
  await background.runNow([later])
  await until(async () => codesOf(await background.why(later))[0] === 'rate-reached')
  await background.pause({ task: 'Charge' })
  assert.equal(codesOf(await background.why(later)), ['paused', 'rate-reached'])
})

test('gives no such reason once the period is over, or the rate is raised', async () => {
  const prepared = await prepare()
  const { database, background } = prepared
  const { sql } = database
  const record = createRecord()
  const Charge = passing('Charge', { rate: '1/h' }, record)
  const worker = await work(database, { tasks: { Charge }, ...POLL })
  await background.result(await background.schedule({ task: Charge, payload: { n: 1 } }))
  await settled(prepared)
  await worker.stop()
  const job = await background.schedule({ task: Charge, payload: { n: 2 } })
  assert.equal(codesOf(await background.why(job)), ['no-worker', 'rate-reached'])
  await background.limits.set({ task: Charge, rate: '2/h' })
  assert.equal(codesOf(await background.why(job)), ['no-worker'])
  await background.limits.reset({ task: Charge })
  assert.equal(codesOf(await background.why(job)), ['no-worker', 'rate-reached'])
  await sql`update kretes.starts set at = at - interval '1 hour'`
  assert.equal(codesOf(await background.why(job)), ['no-worker'])
})

test('says when the next can begin if the rate was lowered: once enough count no more', async () => {
  const prepared = await prepare()
  const { database, background } = prepared
  const { sql } = database
  const record = createRecord()
  const Charge = passing('Charge', { rate: '2/h' }, record)
  await work(database, { tasks: { Charge }, ...POLL })
  await background.result(await background.schedule({ task: Charge, payload: { n: 1 } }))
  await settled(prepared)
  await sql`update kretes.starts set at = at - interval '30 minutes', number = number - 50`
  await background.result(await background.schedule({ task: Charge, payload: { n: 2 } }))
  await settled(prepared)
  const [latest] = await sql<{ at: Date }[]>`select max(at) as at from kretes.starts`
  await background.limits.set({ task: Charge, rate: '1/h' })
  const job = await background.schedule({ task: Charge, payload: { n: 3 } })
  const [reason] = (await background.why(job)).reasons
  assert.match(String(reason?.message), 'its rate is 1/h, and 2 jobs have begun. The next can at ')
  assert.is(reason?.at?.toISOString(), new Date(latest!.at.getTime() + HOUR_MS).toISOString())
})
