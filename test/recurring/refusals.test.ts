import { createBackground } from '../../src/background.ts'
import { BackgroundError } from '../../src/errors.ts'
import { defineTask } from '../../src/task.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('a recurring job that cannot be')

const empty = await createDatabase({ isEmpty: true })
const { url, sql } = await createDatabase()
const onEmpty = createBackground({ connection: empty.url })
const background = createBackground({ connection: url })
onceDone(() => Promise.all([onEmpty.close(), background.close()]))

/** The message about an error of `set`, and the error's name. Neither a schema nor a row is there afterwards. */
async function refusalOf(options: unknown, name: unknown = 'x'): Promise<string> {
  const said = await Promise.all(
    [onEmpty, background].map(({ recurring }) =>
      recurring.set(name as string, options as never).then(
        () => 'it was set',
        error => `${error.name} ${error.message}`
      )
    )
  )
  assert.is(said[0], said[1])
  assert.not(said[0]!.includes('\n'))
  return said[0]!
}

test.after(async () => {
  assert.is((await empty.sql`select from pg_namespace where nspname in ('kretes', 'graphile_worker')`).length, 0)
  assert.is((await sql`select name from kretes.recurring`).length, 0)
})

const PARTS = ', *, and lists, ranges and steps such as 1,3 or 1-5 or */2'

/** What the message says of a field. */
const FIELDS = {
  second: `0 to 59${PARTS}`,
  minute: `0 to 59${PARTS}`,
  hour: `0 to 23${PARTS}`,
  'day of the month': `1 to 31, L for the last${PARTS}`,
  month: `1 to 12, JAN to DEC${PARTS}`,
  'day of the week': `0 to 7 from Sunday, SUN to SAT${PARTS}`
}

/** Expressions, the field that is wrong, and what it is. */
const WRONG_FIELDS: readonly (readonly [cron: string, field: keyof typeof FIELDS, part: string])[] = [
  ['60 * * * * *', 'second', '60'],
  ['60 * * * *', 'minute', '60'],
  ['* 60 * * * *', 'minute', '60'],
  ['* 24 * * *', 'hour', '24'],
  ['* * 0 * *', 'day of the month', '0'],
  ['* * 32 * *', 'day of the month', '32'],
  ['* * * 0 *', 'month', '0'],
  ['* * * 13 *', 'month', '13'],
  ['* * * * 8', 'day of the week', '8'],
  ['-1 * * * *', 'minute', '-1'],
  ['5-1 * * * *', 'minute', '5-1'],
  ['1-60 * * * *', 'minute', '1-60'],
  ['1-5-7 * * * *', 'minute', '1-5-7'],
  ['- * * * *', 'minute', '-'],
  ['* * * * 5-', 'day of the week', '5-'],
  ['* * * * 6-1', 'day of the week', '6-1'],
  ['* * * DEC-JAN *', 'month', 'DEC-JAN'],
  ['*/0 * * * *', 'minute', '*/0'],
  ['*/61 * * * *', 'minute', '*/61'],
  ['*/x * * * *', 'minute', '*/x'],
  ['*/2/3 * * * *', 'minute', '*/2/3'],
  ['1/2 * * * *', 'minute', '1/2'],
  ['* */25 * * *', 'hour', '*/25'],
  ['* * 1-31/40 * *', 'day of the month', '1-31/40'],
  ['1,,2 * * * *', 'minute', '1,,2'],
  ['1, * * * *', 'minute', '1,'],
  ['a * * * *', 'minute', 'a'],
  ['1.5 * * * *', 'minute', '1.5'],
  ['1e1 * * * *', 'minute', '1e1'],
  ['0x1 * * * *', 'minute', '0x1'],
  ['\u0661 * * * *', 'minute', '\u0661'],
  ['\u0000 * * * *', 'minute', '\u0000'],
  ['** * * * *', 'minute', '**'],
  ['* * +1 * *', 'day of the month', '+1'],
  ['* * LL * *', 'day of the month', 'LL'],
  ['* * W * *', 'day of the month', 'W'],
  ['* L * * *', 'hour', 'L'],
  ['* * * FOO *', 'month', 'FOO'],
  ['* * * * FOO', 'day of the week', 'FOO'],
  ['* * * * MONDAY', 'day of the week', 'MONDAY'],
  ['* * * * MON#6', 'day of the week', 'MON#6'],
  ['* * * * *;', 'day of the week', '*;'],
  ['? * * * *', 'minute', '?'],
  ['* ? * * *', 'hour', '?'],
  ['* * * ? *', 'month', '?'],
  ['1? * * * *', 'minute', '1?'],
  ['* * ?/2 * *', 'day of the month', '?/2'],
  // The first of two.
  ['* 24 * 13 *', 'hour', '24']
]

for (const [cron, field, part] of WRONG_FIELDS) {
  test(`has the cron expression ${JSON.stringify(cron)}`, async () => {
    const shown = `${JSON.stringify(cron)}, and its ${field} is ${JSON.stringify(part)}`
    assert.is(
      await refusalOf({ task: 'T', cron }),
      `RangeError Cannot set the recurring job "x": cron is ${shown}: it takes ${FIELDS[field]}`
    )
  })
}

const COUNT = 'it needs minute, hour, day, month and weekday, or seconds before them'
const NICKNAMES = 'none of @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly'
const OPTIONS =
  'task, payload, queue, priority, maxAttempts, cron, every, timeZone, missed, overlap, jitter, start, end'
const DURATION = "not a duration such as '5m', 300_000 or { minutes: 5 }"
const RANGE = 'RangeError'
const TYPE = 'TypeError'

/** Options beside the task, and the error. */
const WRONG_OPTIONS: readonly (readonly [options: object, name: string, reason: string])[] = [
  [{ cron: '* * * *' }, RANGE, `cron is "* * * *", with 4 fields: ${COUNT}`],
  [{ cron: '*' }, RANGE, `cron is "*", with 1 field: ${COUNT}`],
  [{ cron: '* * * * * * *' }, RANGE, `cron is "* * * * * * *", with 7 fields: ${COUNT}`],
  [{ cron: '' }, RANGE, `cron is "", with no fields: ${COUNT}`],
  [{ cron: ' \n ' }, RANGE, `cron is " \\n ", with no fields: ${COUNT}`],
  [{ cron: '@reboot' }, RANGE, `cron is "@reboot", ${NICKNAMES}`],
  [{ cron: '@every 5m' }, RANGE, `cron is "@every 5m", ${NICKNAMES}`],
  [{ cron: '@daily x' }, RANGE, `cron is "@daily x", ${NICKNAMES}`],
  [{ cron: '0 0 30 2 *' }, RANGE, 'cron is "0 0 30 2 *", which matches no date'],
  [{ cron: '0 0 31 2,4,6,9,11 *' }, RANGE, 'cron is "0 0 31 2,4,6,9,11 *", which matches no date'],
  [{ cron: 5 }, TYPE, 'cron is 5, not a string'],
  [{ cron: null }, TYPE, 'cron is null, not a string'],
  [{ cron: [] }, TYPE, 'cron is an array, not a string'],
  [{}, TYPE, 'neither cron nor every is given'],
  [{ cron: '@daily', every: '1m' }, TYPE, 'both cron and every are given'],
  [{ every: 999 }, RANGE, 'every is 999 ms, less than a second'],
  [{ every: '0s' }, RANGE, 'every is 0 ms, less than a second'],
  [{ every: -1 }, RANGE, 'every is -1 ms, less than nothing'],
  [{ every: Number.NaN }, TYPE, `every is NaN, ${DURATION}`],
  [{ every: Number.POSITIVE_INFINITY }, RANGE, 'every is infinite'],
  [{ every: 'often' }, TYPE, `every is "often", ${DURATION}`],
  [{ every: null }, TYPE, `every is null, ${DURATION}`],
  [{ every: { months: 1 } }, RANGE, 'every counts months, which have no fixed length'],
  [
    { every: '1m', timeZone: 'UTC' },
    TYPE,
    'timeZone is given with every, which is the same in all zones. Leave it out'
  ],
  [
    { cron: '@daily', timeZone: 'Europe/Viena' },
    RANGE,
    'timeZone is "Europe/Viena", no zone of the IANA database. Did you mean Europe/Vienna or Europe/Kiev or Europe/Riga?'
  ],
  [
    { cron: '@daily', timeZone: 'Mars/Olympus' },
    RANGE,
    'timeZone is "Mars/Olympus", no zone of the IANA database such as Europe/Berlin'
  ],
  [{ cron: '@daily', timeZone: '' }, RANGE, 'timeZone is "", no zone of the IANA database such as Europe/Berlin'],
  [
    { cron: '@daily', timeZone: '+25:00' },
    RANGE,
    'timeZone is "+25:00", no zone of the IANA database such as Europe/Berlin'
  ],
  [{ cron: '@daily', timeZone: 5 }, TYPE, 'timeZone is 5, not the name of a time zone'],
  [{ cron: '@daily', timeZone: null }, TYPE, 'timeZone is null, not the name of a time zone'],
  [{ every: '1m', missed: 'never' }, TYPE, 'missed is "never", none of "once", "skip", { all: n }'],
  [{ every: '1m', missed: null }, TYPE, 'missed is null, none of "once", "skip", { all: n }'],
  [{ every: '1m', missed: {} }, TYPE, 'missed is of type object, none of "once", "skip", { all: n }'],
  [{ every: '1m', missed: { all: 5, or: 1 } }, TYPE, 'missed is of type object, none of "once", "skip", { all: n }'],
  [{ every: '1m', missed: { all: 0 } }, RANGE, 'missed.all is 0, not a whole number from 1 to 1,000'],
  [{ every: '1m', missed: { all: 1_001 } }, RANGE, 'missed.all is 1001, not a whole number from 1 to 1,000'],
  [{ every: '1m', missed: { all: '5' } }, RANGE, 'missed.all is "5", not a whole number from 1 to 1,000'],
  [{ every: '1m', overlap: 'never' }, TYPE, 'overlap is "never", none of skip, queue, allow'],
  [{ every: '1m', overlap: null }, TYPE, 'overlap is null, none of skip, queue, allow'],
  [
    { every: '1m', missed: { all: 2 }, overlap: 'skip' },
    TYPE,
    'overlap is "skip", which leaves only one of all missed occurrences. Give "queue" or "allow"'
  ],
  [{ every: '1m', jitter: -1 }, RANGE, 'jitter is -1 ms, less than nothing'],
  [{ every: '1m', jitter: null }, TYPE, `jitter is null, ${DURATION}`],
  [
    { every: '1m', start: 'tomorrow' },
    RANGE,
    'start is "tomorrow", not a time with a zone such as 2030-01-31T08:00:00Z'
  ],
  [
    { every: '1m', start: '2030-02-30T00:00:00Z' },
    RANGE,
    'start is "2030-02-30T00:00:00Z", a day that no calendar has'
  ],
  [{ every: '1m', start: new Date(Number.NaN) }, RANGE, 'start is an invalid date'],
  [{ every: '1m', start: 5 }, TYPE, 'start is 5, neither a Date nor a string'],
  [{ every: '1m', end: null }, TYPE, 'end is null, neither a Date nor a string'],
  [
    { every: '1m', start: '2030-02-01T00:00:00Z', end: '2030-01-01T00:00:00Z' },
    RANGE,
    'end is 2030-01-01T00:00:00.000Z, before start, 2030-02-01T00:00:00.000Z'
  ],
  [
    { cron: '0 0 1 1 *', start: '2030-02-01T00:00:00Z', end: '2030-12-31T00:00:00Z' },
    RANGE,
    'no occurrence comes between start and end, 2030-12-31T00:00:00.000Z'
  ],
  [{ every: '1m', tmieZone: 'UTC' }, TYPE, 'there is no option tmieZone. Did you mean timeZone?'],
  [{ every: '1m', runAt: new Date() }, TYPE, `there is no option runAt, only ${OPTIONS}`]
]

for (const [options, name, reason] of WRONG_OPTIONS) {
  test(`${reason}`, async () => {
    assert.is(await refusalOf({ task: 'T', ...options }), `${name} Cannot set the recurring job "x": ${reason}`)
  })
}

test('has an impossible name', async () => {
  const names: readonly (readonly [unknown, string])[] = [
    ['', 'RangeError Cannot name a recurring job: its name is empty'],
    ['a'.repeat(101), 'RangeError Cannot name a recurring job: its name has 101 characters, more than 100'],
    ['😀'.repeat(101), 'RangeError Cannot name a recurring job: its name has 101 characters, more than 100'],
    ['a\u0000b', 'RangeError Cannot name a recurring job: its name holds a character that PostgreSQL cannot hold'],
    ['\ud800', 'RangeError Cannot name a recurring job: its name holds a character that PostgreSQL cannot hold'],
    [5, 'TypeError Cannot name a recurring job: its name is 5, not a string'],
    [null, 'TypeError Cannot name a recurring job: its name is null, not a string']
  ]
  for (const [name, message] of names) assert.is(await refusalOf({ task: 'T', every: '1m' }, name), message)
})

test('has no options, or a task or payload that cannot be', async () => {
  const task = defineTask({
    name: 'Strict',
    schema: {
      '~standard': { version: 1, vendor: 'test', validate: () => ({ issues: [{ message: 'too big', path: ['to'] }] }) }
    },
    run() {}
  })
  const every = '1m'
  const set = 'TypeError Cannot set the recurring job "x":'
  const cases: readonly (readonly [unknown, string])[] = [
    [null, `${set} the options are null, not an object`],
    [5, `${set} the options are 5, not an object`],
    [{ every }, 'TypeError Cannot schedule a job: task is of type undefined, neither a task nor a name'],
    [{ every, task: '' }, 'TypeError Cannot schedule a task: its name is empty'],
    [
      { every, task: 'T', payload: { a: 1n } },
      'TypeError Cannot schedule T: payload.a is a BigInt, which JSON cannot hold'
    ],
    [{ every, task: 'T', payload: 5 }, 'TypeError Cannot schedule T: the payload is a number, not an object'],
    [
      { every, task: 'T', priority: 1e9 },
      'RangeError Cannot schedule T: priority is 1000000000, not a whole number from -32,768 to 32,767'
    ],
    [
      { every, task: 'T', queue: 'q' },
      'TypeError Cannot schedule T: queue is "q", not made by Queue.for() or Queue.random()'
    ]
  ]
  for (const [options, message] of cases) assert.is(await refusalOf(options), message)
  const refusal = await background.recurring.set('x', { task, every }).catch(error => error)
  assert.instance(refusal, BackgroundError)
  assert.is(`${refusal.code} ${refusal.message}`, 'INVALID_PAYLOAD Cannot schedule Strict: payload.to: too big')
})

test('ends in the past, by the clock of the database', async () => {
  const error = await background.recurring
    .set('x', { task: 'T', every: '1m', end: '2020-01-01T00:00:00Z' })
    .catch(e => e)
  assert.is(
    `${error}`,
    'RangeError: Cannot set the recurring job "x": no occurrence comes before its end, 2020-01-01T00:00:00.000Z'
  )
})

test('leaves the one that is there as it is', async () => {
  await using other = createBackground({ connection: (await createDatabase()).url })
  const before = await other.recurring.set('x', { task: 'T', cron: '@daily' })
  await other.recurring.set('x', { task: 'T', cron: '@reboot' }).catch(() => {})
  await other.recurring.set('x', { task: 'T', every: '1m', end: '2020-01-01T00:00:00Z' }).catch(() => {})
  assert.equal(await other.recurring.get('x'), before)
})
