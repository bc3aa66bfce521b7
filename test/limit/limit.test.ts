import { Limit } from '../../src/limit/limit.ts'
import { Queue } from '../../src/queue.ts'
import { defineTask } from '../../src/task.ts'
import { assert, suite } from '../helpers/suite.ts'

const tasks = suite('defineTask() with limits')
const names = suite('Limit.for()')
const queues = suite('a queue')

const run = (): void => {}
const per = (): number => 1
const one = { concurrency: 1 }
const stripe = Limit.for('stripe', { concurrency: 2 })
const shop = Limit.for('shop', { concurrency: 2, per })

const ALLOWED: readonly [what: string, limit: unknown][] = [
  ['nothing', undefined],
  ['a limit', one],
  ['the largest limit', { concurrency: 1_000_000 }],
  ['a rate', { rate: '100/min' }],
  ['a rate and a concurrency', { concurrency: 5, rate: '10/30s' }],
  ['a rate and a concurrency that is undefined', { concurrency: undefined, rate: '10/30s' }],
  ['a concurrency and a rate that is undefined', { concurrency: 5, rate: undefined }],
  ['a rate for each key', { rate: '1/s', per }],
  ['a rate for all jobs, and another for each key', [{ rate: '100/s' }, { rate: '1/s', per }]],
  ['a limit for each key', { concurrency: 1, per }],
  ['a function that is undefined', { concurrency: 1, per: undefined }],
  ['a shared limit', stripe],
  ['a shared limit for each key', shop],
  ['a shared limit with another function for its key', { ...shop, per: () => 'a' }],
  ['a list of one', [one]],
  ['two limits, one of them for each key', [one, { concurrency: 1, per }]],
  ['three limits', [one, stripe, { concurrency: 1, per }]],
  ['shared limits with several names', [stripe, Limit.for('other', one), shop]]
]

for (const [what, limit] of ALLOWED) {
  tasks(`allows ${what}`, () => {
    assert.is(defineTask({ name: 'Charge', limit: limit as never, run }).name, 'Charge')
  })
}

const RANGE = 'not a whole number from 1 to 1,000,000'
const NEITHER = 'Cannot define Charge: the limit has neither a concurrency nor a rate'
const NO_RATE = "not a rate such as '100/min' or '10/30s'"
const REFUSED: readonly [what: string, limit: unknown, type: ErrorConstructor, message: string | RegExp][] = [
  ['a number', 5, TypeError, /^Cannot define Charge: .*\b5, not an object$/],
  ['null', null, TypeError, /^Cannot define Charge: .*\bnull, not an object$/],
  ['a text', 'stripe', TypeError, /^Cannot define Charge: .*"stripe", not an object$/],
  ['a list with a number', [one, 5], TypeError, /^Cannot define Charge: .*\b5, not an object$/],
  ['neither a concurrency nor a rate', {}, TypeError, NEITHER],
  ['a key alone', { per }, TypeError, NEITHER],
  ['a concurrency and a rate that are undefined', { concurrency: undefined, rate: undefined }, TypeError, NEITHER],
  ['one of two limits with neither', [one, { per }], TypeError, NEITHER],
  ['a wrong rate', { rate: '5' }, TypeError, `Cannot define Charge: the limit's rate is "5", ${NO_RATE}`],
  [
    'a wrong rate beside a concurrency',
    { concurrency: 5, rate: 5 },
    TypeError,
    `Cannot define Charge: the limit's rate is 5, ${NO_RATE}`
  ],
  [
    'a wrong concurrency beside a rate',
    { concurrency: 0, rate: '5/s' },
    RangeError,
    `Cannot define Charge: the limit's concurrency is 0, ${RANGE}`
  ],
  [
    'a concurrency of null beside a rate',
    { concurrency: null, rate: '5/s' },
    TypeError,
    "Cannot define Charge: the limit's concurrency is null, not a number"
  ],
  [
    'a rate for no job',
    { rate: '0/s' },
    RangeError,
    "Cannot define Charge: the limit's rate is for 0 jobs, not for 1 to 1,000,000"
  ],
  ['a misspelt rate', { rates: '5/s' }, TypeError, /there is no option of a limit rates\. Did you mean rate\?$/],
  [
    'a text as number',
    { concurrency: '5' },
    TypeError,
    `Cannot define Charge: the limit's concurrency is "5", not a number`
  ],
  ['0', { concurrency: 0 }, RangeError, `Cannot define Charge: the limit's concurrency is 0, ${RANGE}`],
  ['-1', { concurrency: -1 }, RangeError, `Cannot define Charge: the limit's concurrency is -1, ${RANGE}`],
  ['1.5', { concurrency: 1.5 }, RangeError, `Cannot define Charge: the limit's concurrency is 1.5, ${RANGE}`],
  ['NaN', { concurrency: Number.NaN }, RangeError, `Cannot define Charge: the limit's concurrency is NaN, ${RANGE}`],
  [
    'more than a million',
    { concurrency: 1_000_001 },
    RangeError,
    `Cannot define Charge: the limit's concurrency is 1000001, ${RANGE}`
  ],
  [
    'a misspelt option',
    { concurency: 5 },
    TypeError,
    'Cannot define Charge: there is no option of a limit concurency. Did you mean concurrency?'
  ],
  [
    'a name of a key',
    { concurrency: 1, per: 'customer' },
    TypeError,
    `Cannot define Charge: the limit's per is "customer", not a function`
  ],
  ['an empty list', [], RangeError, 'Cannot define Charge: limit is an empty list'],
  [
    'two limits with keys',
    [{ concurrency: 1, per }, shop],
    TypeError,
    'Cannot define Charge: two limits have keys (per). Only one can'
  ],
  [
    'two limits for all jobs',
    [one, { concurrency: 2 }],
    TypeError,
    'Cannot define Charge: two limits are the same. Leave out the larger one'
  ],
  ['a concurrency and a rate as two limits', [one, { rate: '5/s' }], TypeError, /two limits are the same\. /],
  [
    'the same shared limit twice',
    [stripe, Limit.for('stripe', { concurrency: 5 })],
    TypeError,
    'Cannot define Charge: two limits are the same. Leave out the larger one'
  ],
  ['a limit whose name is a number', { name: 5, concurrency: 1 }, TypeError, /name/],
  ['a limit whose name is undefined', { name: undefined, concurrency: 1 }, TypeError, /name/],
  ['a limit whose name PostgreSQL cannot hold', { name: 'a\0', concurrency: 1 }, RangeError, /name/]
]

for (const [what, limit, type, message] of REFUSED) {
  tasks(`refuses ${what}`, () => {
    const error = errorOf(() => defineTask({ name: 'Charge', limit: limit as never, run }))
    assert.instance(error, type)
    if (typeof message === 'string') assert.is(error.message, message)
    else assert.match(error.message, message)
  })
}

tasks('says in plain words that a limit is no object', () => {
  const { message } = errorOf(() => defineTask({ name: 'Charge', limit: 5 as never, run }))
  assert.match(message, /^Cannot define Charge: the (limit is|options of a limit are) 5, not an object$/)
})

tasks('refuses limits and a queue together', () => {
  const error = errorOf(() => defineTask({ name: 'Charge', limit: one, queue: Queue.for('one'), run }))
  assert.instance(error, TypeError)
  assert.match(error.message, /^Cannot define Charge: it has both limit and queue\./)
  assert.is(defineTask({ name: 'Charge', limit: one, queue: null, run }).name, 'Charge')
})

tasks('refuses names of more than 64 characters for tasks with limits', () => {
  const name = `T${'x'.repeat(64)}`
  const error = errorOf(() => defineTask({ name, limit: one, run }))
  assert.instance(error, RangeError)
  assert.is(error.message, `Cannot define ${name}: the name of a task with limits has 64 characters at most`)
  assert.is(defineTask({ name: name.slice(0, 64), limit: one, run }).name.length, 64)
  assert.is(defineTask({ name, run }).name.length, 65)
})

names('returns a limit that cannot be changed, by a name of 1 to 128 characters', () => {
  const limit = Limit.for('it\'s "x" 😀', { concurrency: 3, per })
  assert.equal({ ...limit }, { name: 'it\'s "x" 😀', concurrency: 3, per })
  assert.ok(Object.isFrozen(limit))
  assert.equal({ ...Limit.for('a', { rate: '5/s' }) }, { name: 'a', rate: '5/s' })
  assert.is(Limit.for('x'.repeat(128), one).name.length, 128)
})

for (const [what, name, options, type, message] of [
  ['no text', 5, one, TypeError, 'Cannot name a limit: its name is 5, not a string'],
  ['an empty name', '', one, RangeError, 'Cannot name a limit: its name has 0 characters, not 1 to 128'],
  ['a long name', 'x'.repeat(129), one, RangeError, 'Cannot name a limit: its name has 129 characters, not 1 to 128'],
  ['NUL', 'a\0', one, RangeError, 'Cannot name a limit: its name holds a character that PostgreSQL cannot hold'],
  [
    'half a character',
    '\ud83d',
    one,
    RangeError,
    'Cannot name a limit: its name holds a character that PostgreSQL cannot hold'
  ],
  [
    'a number out of range',
    'a',
    { concurrency: 0 },
    RangeError,
    `Cannot define the limit a: the limit's concurrency is 0, ${RANGE}`
  ],
  [
    'a name as option',
    'a',
    { concurrency: 1, name: 'b' },
    TypeError,
    /^Cannot define the limit a: there is no option of a limit name\b/
  ],
  ['neither', 'a', {}, TypeError, 'Cannot define the limit a: the limit has neither a concurrency nor a rate'],
  ['a wrong rate', 'a', { rate: '5/' }, TypeError, `Cannot define the limit a: the limit's rate is "5/", ${NO_RATE}`],
  [
    'a rate for more jobs than a million',
    'a',
    { rate: '1000001/s' },
    RangeError,
    "Cannot define the limit a: the limit's rate is for 1000001 jobs, not for 1 to 1,000,000"
  ],
  ['no options', 'a', undefined, TypeError, /^Cannot define the limit a: .*not an object$/]
] as const) {
  names(`refuses ${what}`, () => {
    const error = errorOf(() => Limit.for(name as string, options as never))
    assert.instance(error, type)
    if (typeof message === 'string') assert.is(error.message, message)
    else assert.match(error.message, message)
  })
}

queues('cannot have a name that kretes gives to jobs with limits', () => {
  for (const name of ['kretes:limit Charge', 'kretes:limit Charge a'])
    assert.instance(
      errorOf(() => Queue.for(name)),
      RangeError
    )
})

function errorOf(work: () => unknown): Error {
  try {
    work()
  } catch (error) {
    return error as Error
  }
  throw new Error('Nothing was thrown')
}
