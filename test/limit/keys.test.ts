import { z } from 'zod'
import { Limit, type LimitKey } from '../../src/limit/limit.ts'
import { type DefinedTask, defineTask } from '../../src/task.ts'
import { areRunning, createRecord, isAllDone } from '../flow/limits/slots.ts'
import { POLL, prepare, stopWorkers, work } from '../flow/prepare.ts'
import type { TestDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { countJobs, createRecorder } from '../worker/work.ts'
import { waitingJobs } from './lanes.ts'

const test = suite('the key of a limit')
test.after.each(stopWorkers)

/** A task whose jobs have these keys: the payload says which one. */
function keyedBy(
  keys: readonly unknown[],
  run: (payload: { n: number }) => unknown = () => {}
): DefinedTask<{ n: number }> {
  const per = ({ n }: { n: number }): LimitKey => keys[n] as LimitKey
  return defineTask({ name: 'Charge', limit: { concurrency: 1, per }, run })
}

const countLanes = async ({ sql }: TestDatabase): Promise<number> =>
  (await sql`select distinct job_queue_id from graphile_worker._private_jobs where flags ? 'kretes:limited'`).length

const KEYS: readonly [key: LimitKey, shown: string][] = [
  ['a', 'a'],
  ['A', 'A'],
  [' a', ' a'],
  ['a ', 'a '],
  ['a b  c', 'a b  c'],
  [' ', ' '],
  ['', ''],
  [1, '1'],
  [-1.5, '-1.5'],
  [true, 'true'],
  [null, 'null'],
  [12345678901234567890n, '12345678901234567890'],
  [`it's "x" \\ ; -- $1 %s {a,b} {"a":1}`, `it's "x" \\ ; -- $1 %s {a,b} {"a":1}`],
  ['two\nlines\ttab', 'two\nlines\ttab'],
  ['Ünïcödé 漢字 😀', 'Ünïcödé 漢字 😀'],
  ['e\u0301', 'e\u0301'],
  ['\u00e9', '\u00e9'],
  ['Charge', 'Charge'],
  ['Charge a', 'Charge a'],
  ['kretes:limit Charge a', 'kretes:limit Charge a']
]

test('is any text, number, bigint, boolean or null, and the view shows it as it is', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const keys = KEYS.map(([key]) => key)
  for (const n of KEYS.keys()) {
    await background.schedule({ task: keyedBy(keys), payload: { n } })
    await background.scheduleMany([{ task: keyedBy(keys), payload: { n } }])
  }
  const shown = KEYS.flatMap(([, key]) => [key, key])
  assert.equal(
    (await waitingJobs(database)).map(({ key }) => key),
    shown
  )
  assert.is(await countLanes(database), KEYS.length)
  // Each key has the limit for itself.
  await work(database, { tasks: { Charge: keyedBy(keys, record.hold('Charge') as never) }, concurrency: 50, ...POLL })
  await areRunning(record, KEYS.length)
  assert.is((await background.limits.list())[0]?.keys, KEYS.length)
  record.open()
  await isAllDone(database)
  assert.is(record.begun.length, KEYS.length * 2)
  assert.is(record.most, KEYS.length)
})

test('is the same for a number and its text, a boolean and its text, and null and its text', async () => {
  const { database, background } = await prepare()
  const keys = [1, '1', 1n, 1.0, true, 'true', null, 'null', 0, -0]
  for (const n of keys.keys()) await background.schedule({ task: keyedBy(keys), payload: { n } })
  assert.is(await countLanes(database), 4)
})

const LONG = 'x'.repeat(127)
for (const [what, keys] of [
  ['of 129 characters', [`${LONG}12`, `${LONG}13`, `${LONG}1`, `${LONG}`]],
  ['of 10,000 characters', ['a', 'b', 'ab'].map(end => `${'y'.repeat(9_998)}${end}`)],
  ['of many bytes', ['漢'.repeat(120), '漢'.repeat(121), '漢'.repeat(9_000)]]
] as const) {
  test(`may be long: those ${what} that differ only at the end are not the same`, async () => {
    const { database, background } = await prepare()
    const record = createRecord()
    for (const n of keys.keys()) {
      await background.schedule({ task: keyedBy(keys), payload: { n } })
      await background.scheduleMany([{ task: keyedBy(keys), payload: { n } }])
    }
    const shown = (await waitingJobs(database)).map(({ key }) => key!)
    for (const [index, key] of shown.entries())
      assert.is(key.slice(0, 20), keys[index >> 1]!.slice(0, 20), 'the view shows how it begins')
    assert.is(await countLanes(database), keys.length)
    await work(database, { tasks: { Charge: keyedBy(keys, record.hold('Charge') as never) }, ...POLL })
    await areRunning(record, keys.length)
    record.open()
    await isAllDone(database)
    assert.equal([record.begun.length, record.most], [keys.length * 2, keys.length])
  })
}

test('may be long and consist of characters that are two in JavaScript', async () => {
  const { database, background } = await prepare()
  const keys = ['', 'x'].map(start => start + '😀'.repeat(100))
  const payloads = [{ n: 0 }, { n: 1 }]
  for (const payload of payloads) await background.schedule({ task: keyedBy(keys), payload })
  await background.scheduleMany(payloads.map(payload => ({ task: keyedBy(keys), payload })))
  assert.is(await countLanes(database), 2)
  for (const { key } of await waitingJobs(database)) assert.ok(key?.startsWith('😀') || key?.startsWith('x😀'))
  // A worker files those that were scheduled by name in the same way.
  await background.scheduleMany({ task: 'Charge', payloads })
  await work(database, { tasks: { Charge: keyedBy(keys) }, ...POLL })
  await isAllDone(database)
})

for (const [what, key] of [
  ['short', 'a'],
  ['of 70 characters', 'x'.repeat(70)],
  ['of 200 characters', 'x'.repeat(200)]
]) {
  test(`that is ${what} is the same key of a shared limit for tasks with names of any length`, async () => {
    const { database, background } = await prepare()
    const record = createRecord()
    const limit = Limit.for('shared', { concurrency: 1, per: () => key! })
    const names = ['A', `Task${'x'.repeat(60)}`]
    const tasks = Object.fromEntries(names.map(name => [name, defineTask({ name, limit, run: record.hold(name) })]))
    for (const name of names) await background.schedule({ task: tasks[name]!, payload: {} })
    tasks.Marker = defineTask({ name: 'Marker', run: () => {} })
    await work(database, { tasks, ...POLL })
    await until(() => record.running.length > 0)
    for (let n = 0; n < 3; n++) await background.schedule({ task: 'Marker' }).then(job => job.result())
    assert.equal(record.running, ['A'])
    record.open()
    await isAllDone(database)
    assert.is(record.most, 1)
  })
}

const WRONG: readonly [what: string, per: () => unknown, type: ErrorConstructor, message: RegExp][] = [
  ['undefined', () => undefined, TypeError, /returns nothing\. A key is a text, a number, true, false or null$/],
  ['an object', () => ({}), TypeError, /returns a value of type object\. A key is /],
  ['an array', () => [1], TypeError, /returns a value of type object\. A key is /],
  ['a promise', async () => 1, TypeError, /returns a value of type object\. A key is /],
  ['a symbol', () => Symbol('x'), TypeError, /returns a value of type symbol\. A key is /],
  ['NUL', () => 'a\0b', RangeError, /holds a character that PostgreSQL cannot hold$/],
  ['half a character', () => 'a\ud83d', RangeError, /holds a character that PostgreSQL cannot hold$/],
  [
    'what its function throws',
    () => {
      throw new Error('no customer')
    },
    TypeError,
    /per has thrown .*no customer/
  ]
]

for (const [what, per, type, message] of WRONG) {
  test(`is not ${what}: scheduling fails, and names the task`, async () => {
    const { database, background } = await prepare()
    const task = defineTask({ name: 'Charge', limit: { concurrency: 1, per: per as () => number }, run: () => {} })
    for (const call of [
      () => background.schedule({ task }),
      () => background.scheduleMany([{ task: 'Other' }, { task }]),
      () => background.scheduleMany({ task, payloads: [{}] }),
      () => database.sql.begin(transaction => background.with(transaction).schedule({ task }))
    ]) {
      const error = await call().then(
        () => new Error('it was scheduled'),
        error => error
      )
      assert.instance(error, type)
      assert.match(error.message, /^Cannot schedule Charge: the /)
      assert.match(error.message, message)
    }
    assert.is(await countJobs(database), 0)
  })
}

test('that a worker cannot read counts as null, with a warning that names the job', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const logger = createRecorder()
  const jobs = await background.scheduleMany({
    task: 'Charge',
    payloads: [{ n: 1 }, { n: 2 }, { n: 3, customer: { id: 'a' } }]
  })
  await database.sql`select graphile_worker.add_job('Charge', '5')`
  const Charge = defineTask({
    name: 'Charge',
    limit: { concurrency: 1, per: (payload: { customer?: { id: string } }) => payload.customer!.id },
    run: record.hold('Charge') as never
  })
  await work(database, { tasks: { Charge }, logger, ...POLL })
  await areRunning(record, 2)
  const waiting = await waitingJobs(database)
  assert.equal(
    waiting.map(({ key, isLimited }) => [key, isLimited]),
    [
      ['null', true],
      ['null', true],
      ['a', true],
      ['null', true]
    ]
  )
  const lines = logger.of('limit.key')
  assert.equal(
    lines.map(({ level, fields }) => [level, fields.task, fields.job]),
    [waiting[0], waiting[1], waiting[3]].map(job => ['warn', 'Charge', job?.id])
  )
  assert.match(lines[0]!.message, new RegExp(`Job ${jobs[0]!.id} of Charge counts as one with the key null$`))
  record.open()
  await isAllDone(database)
  assert.is(record.begun.length, 4)
})

test('is made from the payload as JSON has it, before a schema changes it', async () => {
  const { database, background } = await prepare()
  const seen: unknown[] = []
  const Charge = defineTask({
    name: 'Charge',
    schema: z.object({ at: z.coerce.date<string | Date>(), to: z.string().toUpperCase().optional() }),
    limit: {
      concurrency: 1,
      per: payload => {
        seen.push(payload)
        return String(payload.at)
      }
    },
    run: () => {}
  })
  const at = new Date('2030-01-02T03:04:05Z')
  const json = { at: '2030-01-02T03:04:05.000Z', to: 'a' }
  await background.schedule({ task: Charge, payload: { at, to: 'a' } })
  await background.scheduleMany({ task: Charge, payloads: [{ at, to: 'a' }] })
  await background.scheduleMany([{ task: Charge, payload: { at, to: 'a' } }])
  assert.equal(seen, [json, json, json])
  assert.equal(
    (await waitingJobs(database)).map(({ key }) => key),
    Array(3).fill(json.at)
  )
  // One that cannot be told from another by what its key function does to its payload.
  const Changing = defineTask({
    name: 'Changing',
    limit: { concurrency: 1, per: (payload: { n?: number }) => (payload.n = 5) },
    run: () => {}
  })
  const { id } = await background.schedule({ task: Changing, payload: {} })
  const [row] = await database.sql`select payload from kretes.jobs where id = ${id}`
  assert.equal(row?.payload, {})
})
