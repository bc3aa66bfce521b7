import { createBackground } from '../../src/background.ts'
import type { Job } from '../../src/job.ts'
import { Queue } from '../../src/queue.ts'
import type { JobOptions } from '../../src/schedule.ts'
import { defineTask } from '../../src/task.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('the options of schedule()')
const refusal = suite('schedule() refuses')

const { sql, url } = await createDatabase()
const background = createBackground({ connection: url })
onceDone(() => background.close())

test('take a time as a Date or as text with a zone', async () => {
  for (const runAt of [
    new Date('2040-01-02T03:04:05.678Z'),
    '2040-01-02T03:04:05.678Z',
    '2040-01-02 04:04:05.678+01:00'
  ]) {
    const job = await background.schedule({ task: 'Timed', runAt })
    assert.is(job.runAt.toISOString(), '2040-01-02T03:04:05.678Z')
    assert.is((await rowOf(job)).time, '2040-01-02 03:04:05.678')
  }
  const last = await background.schedule({ task: 'Timed', runAt: '9999-12-31T23:59:59.999Z' })
  assert.is(last.runAt.toISOString(), '9999-12-31T23:59:59.999Z')
})

test('take a delay, which the clock of the database counts', async () => {
  for (const [delay, milliseconds] of [
    ['1h', 3_600_000],
    [1_500, 1_500],
    [{ minutes: 2 }, 120_000],
    [0, 0]
  ] as const) {
    const { id } = await background.schedule({ task: 'Delayed', delay })
    // The job's transaction began at created_at, and its statement a little later.
    const [row] = await sql`
      select run_at - ${milliseconds} * interval '1 ms' between created_at and clock_timestamp() as is_exact
      from graphile_worker.jobs where id = ${id}`
    assert.is(row?.is_exact, true, `${JSON.stringify(delay)}`)
  }
})

test('take priority and attempts', async () => {
  const job = await background.schedule({ task: 'Full', priority: -32_768, maxAttempts: 32_767 })
  assert.is(job.priority, -32_768)
  assert.is(job.maxAttempts, 32_767)
})

test('of the call win over those of the task, and those over the defaults', async () => {
  await using withDefaults = createBackground({
    connection: url,
    defaults: { priority: 1, maxAttempts: 2, queue: Queue.for('default') }
  })
  const Plain = defineTask({ name: 'Plain', run: () => {} })
  const Own = defineTask({
    name: 'Own',
    priority: 0,
    maxAttempts: 4,
    queue: Queue.for('own'),
    run: () => {}
  })
  const Parallel = defineTask({ name: 'Parallel', queue: null, run: () => {} })
  const chosen = async (task: typeof Plain, options: JobOptions = {}) => {
    const job = await withDefaults.schedule({ task, ...options })
    return [job.priority, job.maxAttempts, job.queue]
  }
  assert.equal(await chosen(Plain), [1, 2, 'default'])
  assert.equal(await chosen(Own), [0, 4, 'own'])
  assert.equal(await chosen(Parallel), [1, 2, null])
  const call = { priority: 9, maxAttempts: 8, queue: Queue.for('call') }
  assert.equal(await chosen(Own, call), [9, 8, 'call'])
  assert.equal(await chosen(Own, { queue: null }), [0, 4, null])
})

const bad: [string, object, string][] = [
  ['a priority past a smallint', { priority: 32_768 }, 'priority is 32768, not a whole number from -32,768 to 32,767'],
  ['a fraction as priority', { priority: 0.5 }, 'priority is 0.5, not a whole number from -32,768 to 32,767'],
  ['no attempts', { maxAttempts: 0 }, 'maxAttempts is 0, not a whole number from 1 to 32,767'],
  ['attempts that are no number', { maxAttempts: '3' }, 'maxAttempts is "3", not a number'],
  ['an empty key', { key: '' }, 'key is empty'],
  ['a key that is too long', { key: 'x'.repeat(513) }, 'key has 513 characters, more than 512'],
  ['a key that is no text', { key: 7 }, 'key is 7, not a string'],
  ['a key with a NUL', { key: '\u0000' }, 'key holds a character that PostgreSQL cannot hold'],
  ['a mode without a key', { keyMode: 'replace' }, 'keyMode is given without a key'],
  [
    'a mode there is not',
    { key: 'a', keyMode: 'keep' },
    'keyMode is "keep", none of replace, preserveRunAt, unsafeDedupe'
  ],
  ['both times', { runAt: new Date(), delay: 5 }, 'both runAt and delay are given'],
  ['an invalid Date', { runAt: new Date(Number.NaN) }, 'runAt is an invalid date'],
  ['an hour there is not', { runAt: '2030-01-31T25:00:00Z' }, 'runAt is an invalid date'],
  [
    'a day there is not',
    { runAt: '2030-02-30T08:00:00Z' },
    'runAt is "2030-02-30T08:00:00Z", a day that no calendar has'
  ],
  [
    'a time without a zone',
    { runAt: '2030-01-31T08:00' },
    'runAt is "2030-01-31T08:00", not a time with a zone such as 2030-01-31T08:00:00Z'
  ],
  ['a number as time', { runAt: 5 }, 'runAt is 5, neither a Date nor a string'],
  ['a year far away', { runAt: new Date(8.64e15) }, 'runAt is in the year 275760, not from 1970 to 9999'],
  ['a negative delay', { delay: -5 }, 'delay is -5 ms, less than nothing'],
  ['a queue by its name', { queue: 'email' }, 'queue is "email", not made by Queue.for() or Queue.random()'],
  [
    'a payload that is too large',
    { payload: { text: 'ż'.repeat(600_000) } },
    'the payload has 1,200,011 bytes, more than the 1,048,576 of maxPayloadBytes. Store it elsewhere and pass a reference'
  ]
]
for (const [what, options, reason] of bad) {
  refusal(`${what}, and sends nothing`, async () => {
    const error = await background.schedule({ task: 'Bad', ...options } as never).then(
      () => assert.unreachable('it did not reject'),
      thrown => thrown
    )
    assert.ok(error instanceof TypeError || error instanceof RangeError)
    assert.is(error.message, `Cannot schedule Bad: ${reason}`)
    assert.is((await sql`select from graphile_worker.jobs where task_identifier = 'Bad'`).length, 0)
  })
}

refusal('what is wrong with a task or a Background when it is made', () => {
  const says = (message: string) => (error: unknown) => error instanceof Error && error.message === message
  assert.throws(
    () => defineTask({ name: 'Bad', run: () => {}, maxAttempts: 0 }),
    says('Cannot define Bad: maxAttempts is 0, not a whole number from 1 to 32,767')
  )
  assert.throws(
    () => createBackground({ defaults: { priority: 1.5 } }),
    says('Cannot create a Background: priority is 1.5, not a whole number from -32,768 to 32,767')
  )
  for (const name of ['maxPending', 'maxPayloadBytes']) {
    assert.throws(
      () => createBackground({ [name]: 0 }),
      says(`Cannot create a Background: ${name} is 0, not a whole number from 1`)
    )
  }
})

async function rowOf({ id }: Job): Promise<{ time: string }> {
  const [row] = await sql<{ time: string }[]>`
    select to_char(run_at at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.MS') as time
    from graphile_worker.jobs where id = ${id}`
  if (!row) throw new Error(`There is no job ${id}`)
  return row
}
