import { inspect } from 'node:util'
import { toRate } from '../../src/limit/rate.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('a rate')

const [SECOND, MINUTE, HOUR, DAY] = [1_000, 60_000, 3_600_000, 86_400_000]

for (const [text, count, periodMs] of [
  ['1/s', 1, SECOND],
  ['100/s', 100, SECOND],
  ['100/sec', 100, SECOND],
  ['100/second', 100, SECOND],
  ['100/min', 100, MINUTE],
  ['100/m', 100, MINUTE],
  ['100/minute', 100, MINUTE],
  ['100/minutes', 100, MINUTE],
  ['100/h', 100, HOUR],
  ['100/hour', 100, HOUR],
  ['5000/d', 5_000, DAY],
  ['5000/day', 5_000, DAY],
  ['5000/w', 5_000, 7 * DAY],
  ['5000/week', 5_000, 7 * DAY],
  ['10/30s', 10, 30 * SECOND],
  ['10/30sec', 10, 30 * SECOND],
  ['10/90min', 10, 90 * MINUTE],
  ['10/2 days', 10, 2 * DAY],
  ['10/1000ms', 10, SECOND],
  ['10/1500 milliseconds', 10, 1_500],
  ['1/366d', 1, 366 * DAY],
  ['1000000/s', 1_000_000, SECOND],
  ['000000001/01s', 1, SECOND],
  [' 10 / 30 s ', 10, 30 * SECOND],
  ['\t10\n/\n30s\n', 10, 30 * SECOND]
] as const) {
  test(`may be ${JSON.stringify(text)}`, () => {
    assert.equal(toRate(text, 'test', 'rate'), { count, periodMs })
  })
}

for (const rate of [
  undefined,
  null,
  100,
  Number.NaN,
  100n,
  true,
  {},
  { count: 5, periodMs: 1_000 },
  ['100/min'],
  Symbol('100/min'),
  () => '100/min',
  new String('100/min'),
  '',
  ' ',
  '/',
  '100',
  '100/',
  '/min',
  '100/30',
  '100min',
  '100 min',
  '100 per min',
  '100/min/s',
  '100//min',
  '100\\min',
  '-1/min',
  '+1/min',
  '1.5/min',
  '1,000/min',
  '1_000/min',
  '1e3/min',
  '0x10/min',
  'Infinity/min',
  'many/min',
  '٣/min',
  '100/1.5min',
  '100/-1min',
  '100/1h30m',
  '100/MIN',
  '100/Min',
  '100/mins!',
  '100/fortnight',
  '100/month',
  '100/2 months',
  '100/year',
  '100/{ seconds: 1 }',
  '100/min; drop table jobs',
  '100/min\0'
]) {
  test(`is not ${inspect(rate)}`, () => {
    const error = errorOf(() => toRate(rate, 'do this', 'the rate'))
    assert.instance(error, TypeError, String(error))
    assert.match(error.message, /^Cannot do this: the rate is .+, not a rate such as '100\/min' or '10\/30s'$/)
    assert.not.match(error.message, '\0')
  })
}

for (const [rate, message] of [
  ['0/s', 'the rate is for 0 jobs, not for 1 to 1,000,000'],
  ['00/s', 'the rate is for 00 jobs, not for 1 to 1,000,000'],
  ['1000001/s', 'the rate is for 1000001 jobs, not for 1 to 1,000,000'],
  ['999999999/s', 'the rate is for 999999999 jobs, not for 1 to 1,000,000'],
  ['10000000000/s', 'the rate is for 10000000000 jobs, not for 1 to 1,000,000'],
  ['5/ms', 'the period of the rate is ms, not 1 second to 366 days'],
  ['5/0s', 'the period of the rate is 0s, not 1 second to 366 days'],
  ['5/999ms', 'the period of the rate is 999ms, not 1 second to 366 days'],
  ['5/367d', 'the period of the rate is 367d, not 1 second to 366 days'],
  ['5/53weeks', 'the period of the rate is 53weeks, not 1 second to 366 days'],
  ['5/40000d', 'the period of the rate is 40000d, not 1 second to 366 days']
] as const) {
  test(`is out of range if it is ${JSON.stringify(rate)}`, () => {
    const error = errorOf(() => toRate(rate, 'do this', 'the rate'))
    assert.instance(error, RangeError, String(error))
    assert.is(error.message, `Cannot do this: ${message}`)
  })
}

function errorOf(work: () => unknown): Error {
  try {
    work()
  } catch (error) {
    return error as Error
  }
  throw new Error('Nothing was thrown')
}
