import { inspect } from 'node:util'
import { PermanentError, RateLimited, Snooze } from '../../mod.ts'
import { isPermanent, isSnooze } from '../../src/errors.ts'
import { Limit } from '../../src/limit/limit.ts'
import { isRateLimited } from '../../src/limit/rate-limited.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('new RateLimited()')

for (const [length, delayMs] of [
  ['30s', 30_000],
  [250, 250],
  [0, 0],
  [{ minutes: 5 }, 300_000],
  ['1h30m', 5_400_000],
  ['36525 days', 36_525 * 86_400_000]
] as const) {
  test(`takes ${inspect(length)}`, () => {
    const error = new RateLimited(length)
    assert.equal([error.delayMs, error.until, error.limit], [delayMs, undefined, undefined])
    assert.is(error.message, `Rate limited for ${delayMs} ms`)
  })
}

for (const time of ['2031-05-06T07:08:09.000Z', new Date('2031-05-06T07:08:09Z')]) {
  test(`takes until ${inspect(time)}`, () => {
    const error = new RateLimited({ until: time })
    assert.equal([error.delayMs, error.until?.toISOString()], [undefined, '2031-05-06T07:08:09.000Z'])
    assert.is(error.message, 'Rate limited until 2031-05-06T07:08:09.000Z')
  })
}

test('is a Snooze with a name of its own, and no other error is one', () => {
  const error = new RateLimited('30s')
  assert.instance(error, Snooze)
  assert.instance(error, Error)
  assert.is(error.name, 'RateLimited')
  assert.equal([isSnooze(error), isRateLimited(error), isPermanent(error)], [true, true, false])
  assert.is(isRateLimited(new Snooze('30s')), false)
  assert.is(isSnooze(new PermanentError()), false)
  assert.match(String(error), /^RateLimited: Rate limited for 30000 ms$/)
  assert.match(error.stack ?? '', /rate-limited\.test\.ts/)
  assert.not.match(error.stack ?? '', 'Snoozed')
  assert.equal(Object.keys(error).toSorted(), ['delayMs', 'limit', 'name', 'until'])
})

test('takes a shared limit or its name', () => {
  const stripe = Limit.for('stripe', { rate: '5/s' })
  assert.is(new RateLimited('30s', { limit: stripe }).limit, 'stripe')
  assert.is(new RateLimited('30s', { limit: 'stripe' }).limit, 'stripe')
  for (const options of [undefined, {}, { limit: undefined }])
    assert.is(new RateLimited('30s', options as never).limit, undefined)
})

for (const [length, type] of [
  [undefined, TypeError],
  [null, TypeError],
  ['soon', TypeError],
  ['', TypeError],
  [Number.NaN, TypeError],
  [{}, TypeError],
  [{ until: 'never' }, TypeError],
  [{ until: undefined }, TypeError],
  [{ until: new Date(), delay: 5 }, TypeError],
  [-1, RangeError],
  ['40000 days', RangeError],
  [{ until: '1969-12-31T23:59:59Z' }, RangeError],
  [{ until: new Date(8.64e15) }, RangeError]
] as const) {
  test(`refuses ${inspect(length)} as length`, () => {
    const error = errorOf(() => new RateLimited(length as never))
    assert.ok(error instanceof TypeError || error instanceof RangeError, String(error))
    if (type === RangeError) assert.instance(error, RangeError)
    assert.match(error.message, /^Cannot [a-z ]+: /)
  })
}

for (const options of [
  null,
  5,
  'stripe',
  { limits: 'stripe' },
  { limit: 5 },
  { limit: null },
  { limit: {} },
  { limit: { rate: '5/s' } },
  { limit: { name: 5 } },
  { limit: ['stripe'] }
]) {
  test(`refuses ${inspect(options)} as options`, () => {
    const error = errorOf(() => new RateLimited('30s', options as never))
    assert.instance(error, TypeError)
    assert.match(error.message, /^Cannot hold a limit: /)
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
