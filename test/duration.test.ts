import { type Duration, toMilliseconds } from '../src/duration.ts'
import { assert, suite } from './helpers/suite.ts'

const test = suite('a duration')

const good: [Duration, number][] = [
  [0, 0],
  [1_500, 1_500],
  [1.6, 2],
  ['500ms', 500],
  ['5s', 5_000],
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['1h 30m', 5_400_000],
  ['1.5h', 5_400_000],
  ['2 days', 172_800_000],
  ['1 week 1 minute 1 second', 604_861_000],
  [' 3 min ', 180_000],
  [{ minutes: 5 }, 300_000],
  [{ days: 1, hours: 2, milliseconds: 3 }, 93_600_003],
  [{ seconds: 0 }, 0],
  // As a Temporal.Duration answers.
  [
    Object.create({ years: 0, months: 0, weeks: 0, days: 0, hours: 1, minutes: 0, seconds: 30, milliseconds: 0 }),
    3_630_000
  ]
]
for (const [duration, milliseconds] of good) {
  test(`${JSON.stringify(duration)} has ${milliseconds} ms`, () =>
    assert.is(toMilliseconds(duration, 'wait', 'delay'), milliseconds))
}

const example = "not a duration such as '5m', 300_000 or { minutes: 5 }"
const bad: [unknown, string][] = [
  ['', `is "", ${example}`],
  ['5', `is "5", ${example}`],
  ['5 parsecs', `is "5 parsecs", ${example}`],
  ['m', `is "m", ${example}`],
  ['-5m', `is "-5m", ${example}`],
  ['5m!', `is "5m!", ${example}`],
  [Number.NaN, `is NaN, ${example}`],
  [null, `is null, ${example}`],
  [true, `is of type boolean, ${example}`],
  [{}, `is an object without units of time, ${example}`],
  [{ minutes: '5' }, `is an object without units of time, ${example}`]
]
for (const [duration, reason] of bad) {
  test(`${String(duration) || "''"} is none`, () => refuses(TypeError, duration, reason))
}

test('is not negative, endless or of no fixed length', () => {
  refuses(RangeError, -1, 'is -1 ms, less than nothing')
  refuses(RangeError, { hours: -1 }, 'is -3600000 ms, less than nothing')
  refuses(RangeError, Number.POSITIVE_INFINITY, 'is infinite')
  refuses(RangeError, '6000 weeks', 'is longer than 100 years')
  refuses(RangeError, { months: 1 }, 'counts months, which have no fixed length')
  refuses(RangeError, { years: 1, days: 1 }, 'counts years, which have no fixed length')
})

function refuses(kind: typeof TypeError | typeof RangeError, duration: unknown, reason: string): void {
  assert.throws(
    () => toMilliseconds(duration as Duration, 'wait', 'delay'),
    (error: unknown) => error instanceof kind && error.message === `Cannot wait: delay ${reason}`
  )
}
