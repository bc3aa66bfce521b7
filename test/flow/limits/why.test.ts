import type { Why } from '../../../src/diagnose/why.ts'
import { Limit, type Limits } from '../../../src/limit/limit.ts'
import type { JobReference } from '../../../src/reference.ts'
import { type DefinedTask, defineTask } from '../../../src/task.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { countLocked, POLL, type Prepared, prepare, registered, stopWorkers, work } from '../prepare.ts'
import { areRunning, createRecord, isAllDone, type Numbered, noSlots, type Record } from './slots.ts'

const why = suite('why() a job waits for a limit')
const doctor = suite('doctor() and limits')
why.after.each(stopWorkers)
doctor.after.each(stopWorkers)

const per = ({ key }: Numbered) => key ?? null

function held(name: string, limit: Limits<Numbered>, record: Record): DefinedTask<Numbered> {
  return defineTask({ name, limit, run: record.hold(name) as never })
}

const limitsIn = ({ reasons }: Why): string[] =>
  reasons.flatMap(({ code, message }) => (code === 'limit-reached' ? message : []))
const codesOf = ({ reasons }: Why): string[] => reasons.map(({ code }) => code)

/** Waits until a worker has found that it can do no more. */
async function settled({ background }: Prepared, job: JobReference, count = 1): Promise<Why> {
  return (await until(async () => {
    const found = await background.why(job)
    return limitsIn(found).length === count && found
  })) as Why
}

why('names the limit, how much is in use, by which worker, and how many jobs come before it', async () => {
  const prepared = await prepare()
  const { database, background } = prepared
  const record = createRecord()
  const Charge = held('Charge', { concurrency: 2 }, record)
  await work(database, { tasks: { Charge }, ...POLL })
  const jobs = await background.scheduleMany({ task: Charge, payloads: [1, 2, 3, 4, 5].map(n => ({ n })) })
  await areRunning(record, 2)
  const [worker] = await database.sql<{ id: string }[]>`select id from kretes.workers`
  for (const [index, place] of [
    [2, 'no job of its task comes before it'],
    [3, '1 job of its task comes before it'],
    [4, '2 jobs of its task come before it']
  ] as const) {
    const { reasons } = await settled(prepared, jobs[index]!)
    assert.equal(
      reasons.map(({ code, message, count }) => [code, message, count]),
      [['limit-reached', `It waits for the limit of Charge: 2 of 2 in use, by ${worker!.id}; ${place}`, index - 2]]
    )
  }
  await until(async () => codesOf(await background.why(jobs[0]!))[0] === 'running')
  record.open()
  await isAllDone(database)
  assert.equal(codesOf(await background.why(jobs[4]!)), ['ended'])
})

why('names the key, and nothing for a key that has a slot', async () => {
  const prepared = await prepare()
  const { database, background } = prepared
  const record = createRecord()
  const Charge = held('Charge', { concurrency: 1, per }, record)
  await work(database, { tasks: { Charge }, ...POLL })
  await background.schedule({ task: Charge, payload: { n: 0, key: 'b' } })
  for (const key of ['a b', '', 7] as const) {
    const running = await background.schedule({ task: Charge, payload: { n: 1, key } })
    await until(() => record.running.includes(`Charge ${key} 1`))
    const waiting = await background.schedule({ task: Charge, payload: { n: 2, key } })
    const shown = key === '' ? "''" : String(key)
    const [message] = limitsIn(await settled(prepared, waiting))
    assert.match(message!, `It waits for the limit of Charge for the key ${shown}: 1 of 1 in use, by `)
    assert.match(message!, / no job of its (key|task) comes before it$/)
    await until(async () => codesOf(await background.why(running))[0] === 'running')
    assert.equal(limitsIn(await background.why(running)), [])
  }
})

why('names a shared limit, with the jobs of all tasks, and each of several limits that is reached', async () => {
  const prepared = await prepare()
  const { database, background } = prepared
  const record = createRecord()
  const stripe = Limit.for('stripe', { concurrency: 2 })
  const tasks = {
    Charge: held('Charge', [stripe, { concurrency: 1, per }], record),
    Refund: held('Refund', stripe, record)
  }
  await work(database, { tasks, ...POLL })
  await background.schedule({ task: tasks.Charge, payload: { n: 1, key: 'a' } })
  await areRunning(record, 1)
  const ofKey = await background.schedule({ task: tasks.Charge, payload: { n: 2, key: 'a' } })
  const [only] = limitsIn(await settled(prepared, ofKey))
  assert.match(only!, /^It waits for the limit of Charge for the key a: 1 of 1 in use, by /)
  await background.schedule({ task: tasks.Refund, payload: { n: 1 } })
  await areRunning(record, 2)
  const both = limitsIn(await settled(prepared, ofKey, 2))
  assert.match(both[0]!, /^It waits for the limit of Charge for the key a: 1 of 1 in use, by /)
  const [worker] = await database.sql<{ id: string }[]>`select id from kretes.workers`
  assert.ok(both[1]!.startsWith(`It waits for the limit stripe: 2 of 2 in use, by ${worker!.id}; `), both[1])
  const other = await background.schedule({ task: tasks.Charge, payload: { n: 3, key: 'b' } })
  assert.match(limitsIn(await settled(prepared, other))[0]!, /^It waits for the limit stripe: 2 of 2 in use, by /)
  // What was set counts.
  await background.limits.set({ limit: stripe, concurrency: 1 })
  assert.match(limitsIn(await background.why(other))[0]!, / stripe: 2 of 1 in use, by /)
})

why('lists three workers and the number of the others', async () => {
  const { database, background } = await prepare()
  const { sql } = database
  const Charge = defineTask({ name: 'Charge', limit: { concurrency: 5 }, run: () => {} })
  await work(database, { tasks: { Charge }, ...POLL }).then(worker => worker.ready)
  await registered(database)
  await sql`
    insert into kretes.leases (limit_name, part, worker, lane, slots)
    select 'task Charge', '', 'worker ' || n, 1, 1 from generate_series(1, 5) n`
  const job = await background.schedule({ task: Charge })
  const message = 'It waits for the limit of Charge: 5 of 5 in use, by worker 1, worker 2, worker 3 and 2 more; '
  assert.equal(
    limitsIn(await background.why(job)).map(line => line.slice(0, message.length)),
    [message]
  )
  await sql`delete from kretes.leases`
})

why('gives no such reason for a job that is for later, is paused before all, or has no limits', async () => {
  const prepared = await prepare()
  const { database, background } = prepared
  const record = createRecord()
  const Charge = held('Charge', { concurrency: 1 }, record)
  await work(database, { tasks: { Charge, Other: () => {} }, ...POLL })
  await background.schedule({ task: Charge, payload: { n: 1 } })
  await areRunning(record, 1)
  const later = await background.schedule({ task: Charge, delay: '1h' })
  assert.equal(codesOf(await background.why(later)), ['scheduled'])
  const waiting = await background.schedule({ task: Charge, payload: { n: 2 } })
  await settled(prepared, waiting)
  await background.pause({ task: 'Charge' })
  assert.equal(codesOf(await background.why(waiting)), ['paused', 'limit-reached'])
  await background.pause({ task: 'Other' })
  const other = await background.schedule({ task: 'Other' })
  assert.equal(codesOf(await background.why(other)), ['paused'])
})

doctor('finds jobs that have waited for a limit for more than a day, and says how to raise it', async () => {
  const prepared = await prepare()
  const { database, background } = prepared
  const record = createRecord()
  const tasks = {
    Charge: held('Charge', { concurrency: 1, per }, record),
    Refund: held('Refund', Limit.for('stripe', { concurrency: 1 }), record)
  }
  await work(database, { tasks, ...POLL })
  for (const n of [1, 2, 3]) {
    await background.schedule({ task: tasks.Charge, payload: { n, key: 'a' } })
    await background.schedule({ task: tasks.Refund, payload: { n } })
  }
  await areRunning(record, 2)
  await until(async () => (await countLocked(database)) === 2)
  assert.equal((await background.doctor()).findings, [])
  await database.sql`
    update graphile_worker._private_jobs set run_at = run_at - interval '23 hours', created_at = created_at - interval '2 days'
    where locked_at is null`
  assert.equal((await background.doctor()).findings, [])
  await database.sql`update graphile_worker._private_jobs set run_at = run_at - interval '2 hours' where locked_at is null`
  const { findings } = await background.doctor()
  assert.equal(
    findings.map(({ code, severity, message, remedy }) => [code, severity, message, remedy]),
    [
      [
        'limit-starves',
        'warning',
        'The limit stripe (1 at a time) may be too low: 2 due jobs wait, the oldest for 1 day',
        'Raise it, if its service can bear more: kretes background limits set --limit stripe --concurrency <number>'
      ],
      [
        'limit-starves',
        'warning',
        'The limit of Charge (1 at a time for each key) may be too low: 2 due jobs wait, the oldest for 1 day',
        'Raise it, if its service can bear more: kretes background limits set --task Charge --concurrency <number>'
      ]
    ]
  )
  record.open()
  await isAllDone(database)
  assert.equal((await background.doctor()).findings, [])
})

doctor('finds slots of workers that are lost, until another worker removes them', async () => {
  const { database, background } = await prepare()
  const { sql } = database
  const Charge = defineTask({
    name: 'Charge',
    limit: [{ concurrency: 9 }, Limit.for('a', { concurrency: 9 })],
    run: () => {}
  })
  await work(database, { tasks: { Charge }, ...POLL }).then(worker => worker.stop())
  await sql`
    insert into kretes.workers (id, host, pid, concurrency, tasks, beat_at)
    values ('lost', 'elsewhere', 1, 4, '{Charge}', now() - interval '1 hour')`
  await sql`
    insert into kretes.leases (limit_name, part, worker, lane, slots)
    values ('task Charge', '', 'lost', 1, 3), ('limit a', '', 'lost', 1, 3)`
  const found = (await background.doctor()).findings.filter(({ code }) => code === 'lost-slots')
  assert.equal(
    found.map(({ severity, message }) => [severity, message]),
    [['warning', '3 slots of limits belong to workers that are lost: lost']]
  )
  await work(database, { tasks: { Charge }, ...POLL })
  await noSlots(database)
  assert.equal((await background.doctor()).findings, [])
})
