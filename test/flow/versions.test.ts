import { createBackground } from '../../src/background.ts'
import { Queue } from '../../src/queue.ts'
import { versionFlags, versionOf } from '../../src/sql/flow/versions.ts'
import { defineTask, optionsOf } from '../../src/task.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createRecorder } from '../worker/work.ts'
import { POLL, prepare, stopWorkers, work } from './prepare.ts'

const test = suite('a job of a task with a version')
test.after.each(stopWorkers)

const run = (): void => {}
const Mail = defineTask({ name: 'Mail', version: 2, run })
const Plain = defineTask({ name: 'Plain', run })
const { database, background } = await prepare()
const { sql } = database

test.before.each(async () => {
  await sql`delete from graphile_worker._private_jobs`
})

/** The versions of all jobs, in the order of their ids. */
async function versions(): Promise<number[]> {
  const rows = await sql`select flags from graphile_worker._private_jobs order by id`
  return rows.map(({ flags }) => versionOf(flags))
}

/** The flags of all jobs. */
async function flags(): Promise<unknown[]> {
  const rows = await sql`select flags from graphile_worker._private_jobs order by id`
  return rows.map(row => row.flags)
}

test('carries it, however it is scheduled', async () => {
  await background.schedule({ task: Mail })
  await background.schedule({ task: Mail, queue: Queue.for('one'), delay: '1h', priority: 3 })
  await background.schedule({ task: Plain })
  const own = Object.fromEntries(versionFlags(2).map(flag => [flag, true]))
  assert.equal(await flags(), [own, own, null])
})

test('carries it among calls at once, of several tasks and kinds', async () => {
  await Promise.all(
    Array.from({ length: 300 }, (_, n) =>
      background.schedule({
        task: n % 3 ? Mail : Plain,
        payload: { n },
        ...(n % 5 === 0 && { key: `key ${n}` }),
        ...(n % 7 === 0 && { queue: Queue.for('one') }),
        ...(n % 11 === 0 && { runAt: new Date(2e12) })
      })
    )
  )
  const rows = await sql`
    select (payload ->> 'n')::int as n, flags from graphile_worker._private_jobs order by 1`
  assert.is(rows.length, 300)
  for (const { n, flags } of rows) assert.is(versionOf(flags), n % 3 ? 2 : 0, `job ${n}`)
})

for (const returning of [true, false] as const) {
  test(`carries it in bulk${returning ? '' : ' that returns no jobs'}`, async () => {
    // The compiler knows each kind of call by its own type.
    const options = { returning } as { returning: false }
    await background.scheduleMany([{ task: Mail }, { task: Plain }, { task: Mail, key: 'a' }], options)
    await background.scheduleMany([{ task: Mail }, { task: Plain }], options)
    await background.scheduleMany({ task: Mail, payloads: [{}, {}] }, options)
    await background.scheduleMany({ task: Plain, payloads: [{}] }, options)
    assert.equal((await versions()).sort(), [0, 0, 0, 2, 2, 2, 2, 2])
  })
}

test('carries it in a transaction of the caller', async () => {
  await sql.begin(async transaction => {
    const within = background.with(transaction)
    await within.schedule({ task: Mail })
    await within.schedule({ task: Plain, key: 'b' })
    await within.scheduleMany([{ task: Mail }, { task: Plain }])
    await within.scheduleMany({ task: Mail, payloads: [{}, {}] })
  })
  assert.equal(await versions(), [2, 0, 2, 0, 2, 2])
})

test('gets it from the call that replaces it, and keeps it where that changes nothing', async () => {
  const next = defineTask({ name: 'Mail', version: 3, run })
  await background.schedule({ task: Mail, key: 'k' })
  await background.schedule({ task: next, key: 'k' })
  assert.equal(await versions(), [3])
  await background.schedule({ task: next, key: 'k', keyMode: 'preserveRunAt' })
  await background.schedule({ task: Mail, key: 'k', keyMode: 'preserveRunAt' })
  assert.equal(await versions(), [2])
  await background.schedule({ task: next, key: 'k', keyMode: 'unsafeDedupe' })
  assert.equal(await versions(), [2])
  await background.schedule({ task: defineTask({ name: 'Mail', run }), key: 'k' })
  assert.equal(await versions(), [0])
  await background.schedule({ task: next, key: 'new', keyMode: 'unsafeDedupe' })
  assert.equal(await versions(), [0, 3])
})

test('keeps it when it is changed, fails and is tried again, with or without a queue', async () => {
  const Broken = defineTask({
    name: 'Broken',
    version: 2,
    run: () => {
      throw new Error('It broke')
    }
  })
  const failed = async (attempts: number): Promise<void> => {
    await until(async () => {
      const rows = await sql`
        select from graphile_worker._private_jobs where attempts = ${attempts} and locked_by is null and last_error is not null`
      return rows.length === 2
    })
    assert.equal(await versions(), [2, 2])
  }
  const ids: string[] = []
  for (const queue of [null, Queue.for('broken')]) {
    const { id } = await background.schedule({ task: Broken, queue, delay: '1h', maxAttempts: 2 })
    await background.reschedule(id, { priority: 5 })
    ids.push(id)
  }
  assert.equal(await versions(), [2, 2])
  await using _worker = await work(database, { tasks: { Broken }, backoff: ['1h'], ...POLL })
  await background.runNow(ids)
  await failed(1)
  await background.runNow(ids)
  await failed(2)
  await sql`update graphile_worker._private_jobs set last_error = null`
  await background.retry(ids)
  await failed(1)
})

test('gets it from the workers if it is scheduled by name', async () => {
  await using worker = await work(database, {
    tasks: { Registered: defineTask({ name: 'Registered', version: 4, run }) },
    ...POLL
  })
  await until(async () => (await sql`select from kretes.definitions where name = 'Registered'`).length > 0)
  await worker.stop()
  await using fresh = createBackground({ connection: database.url })
  await fresh.schedule({ task: 'Registered' })
  await Promise.all([1, 2, 3].map(() => fresh.schedule({ task: 'Registered' })))
  await fresh.scheduleMany([{ task: 'Registered' }])
  await fresh.scheduleMany({ task: 'Registered', payloads: [{}] })
  await sql.begin(transaction => fresh.with(transaction).schedule({ task: 'Registered' }))
  await fresh.recurring.set('by name', { task: 'Registered', every: '1h' })
  await fresh.recurring.runNow('by name')
  await fresh.recurring.remove('by name')
  assert.equal(await versions(), Array(8).fill(4))
})

test('carries it beside the occurrence of its recurring job, on time and by hand', async () => {
  const { recurring } = background
  await recurring.set('nightly', { task: Mail, every: '1h', overlap: 'allow' })
  const job = await recurring.runNow('nightly')
  assert.equal([job.schedule, versionOf((await flags())[0] as never)], ['nightly', 2])
  await sql`update kretes.recurring set next_at = now() - interval '1 s' where name = 'nightly'`
  await using _worker = await work(database, { tasks: { Plain }, ...POLL })
  await until(async () => (await versions()).length === 2)
  const [, onTime] = (await flags()) as Record<string, boolean>[]
  assert.is(versionOf(onTime!), 2)
  assert.is(Object.keys(onTime!).filter(flag => flag.startsWith('kretes:occurrence ')).length, 1)
  await recurring.set('nightly', { task: Plain, every: '1h', overlap: 'allow' })
  await recurring.runNow('nightly')
  assert.equal(await versions(), [2, 2, 0])
  await recurring.remove('nightly')
})

test('carries it if the code of a worker declares the recurring job', async () => {
  const logger = createRecorder()
  const declare = async (version?: number): Promise<void> => {
    const before = logger.of('recurring.declared').length
    const options = version === undefined ? {} : { version }
    const Declared = defineTask({ name: 'Declared', every: '1h', overlap: 'allow', run, ...options })
    await using _worker = await work(database, { tasks: { Declared, Plain }, except: ['Declared'], logger, ...POLL })
    await until(() => logger.of('recurring.declared').length > before)
  }
  for (const version of [5, 6, undefined]) {
    await declare(version)
    await background.recurring.runNow('Declared')
  }
  assert.equal(await versions(), [5, 6, 0])
})

test('is read from its own flag alone', () => {
  for (const [given, version] of [
    [null, 0],
    [{}, 0],
    [{ 'kretes:version 7': true }, 7],
    [{ other: true, 'kretes:version 12': true }, 12],
    [{ 'kretes:occurrence 1 kretes:version 9': true }, 0],
    [{ 'kretes:occurrence 1 "kretes:version 9': true }, 0],
    [{ 'kretes:version x': true }, 0],
    [{ 'kretes:version 1234567890': true }, 0],
    [{ 'a\nkretes:version 9': true }, 0],
    [{ 'kretes:version 9\n': true }, 0]
  ] as const) {
    assert.is(versionOf(given), version, JSON.stringify(given))
  }
})

test('has one that defineTask() accepts: a whole number from 1 on', () => {
  for (const version of [1, 2, 999_999_999, undefined]) {
    assert.is(optionsOf(defineTask({ name: 'Mail', run, ...(version && { version }) })).version, version)
  }
  for (const version of [0, -1, 1.5, 1e9, Number.NaN, Number.POSITIVE_INFINITY, '2', null, true, {}]) {
    assert.throws(
      () => defineTask({ name: 'Mail', run, version: version as never }),
      (error: unknown) =>
        (error instanceof RangeError || error instanceof TypeError) &&
        /^Cannot define Mail: version is .+, not a (whole )?number/.test(error.message),
      String(version)
    )
  }
})
