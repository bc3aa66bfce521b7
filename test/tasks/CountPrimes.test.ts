import CountPrimes from '../../tasks/CountPrimes.ts'
import { assert, suite } from '../helpers/suite.ts'
import { contextFor } from './context.ts'

const test = suite('CountPrimes')

const counts: [upTo: number, count: number][] = [
  [-5, 0],
  [0, 0],
  [1, 0],
  [2, 1],
  [3, 2],
  [10, 4],
  [100, 25],
  [1_000_000, 78_498],
  [1_000_002, 78_498],
  [1_000_003, 78_499],
  [10_000_000, 664_579]
]
for (const [upTo, count] of counts) {
  test(`${count} primes are counted up to ${upTo}`, async () => {
    assert.is(await CountPrimes({ upTo }, contextFor('CountPrimes')), count)
  })
}

test('progress is logged every 10 %', async () => {
  const context = contextFor('CountPrimes')
  await CountPrimes({ upTo: 20_000_000 }, context)
  assert.equal(
    context.lines.map(line => line.split(' %:')[0]),
    ['10', '20', '30', '40', '50', '60', '70', '80', '90', '100']
  )
  assert.is(context.lines[4], '50 %: 664579 primes up to 10000000')
})

test('progress is reported after every slice', async () => {
  const context = contextFor('CountPrimes')
  await CountPrimes({ upTo: 4_000_000 }, context)
  assert.equal(
    context.reports.map(([fraction]) => fraction),
    [0.25, 0.5, 0.75, 1]
  )
  assert.is(context.reports[3]?.[1], '283146 primes so far')
})

test('cancelling ends the count, with the reason, before the next slice', async () => {
  const abort = new AbortController()
  const reason = new Error('The worker is stopping')
  const context = contextFor('CountPrimes', { signal: abort.signal })
  const counting = Promise.resolve(CountPrimes({ upTo: 1_000_000_000_000 }, context))
  setImmediate(() => abort.abort(reason))
  assert.is(await counting.catch((error: unknown) => error), reason)
  assert.equal(context.lines, [])
})

test('other work goes on between slices', async () => {
  let turns = 0
  let isOver = false
  const turn = (): void => {
    turns++
    if (!isOver) setImmediate(turn)
  }
  turn()
  await CountPrimes({ upTo: 10_000_000 }, contextFor('CountPrimes'))
  isOver = true
  assert.ok(turns >= 10, `${turns} turns of the event loop`)
})

for (const upTo of [1.5, Number.NaN, Number.POSITIVE_INFINITY, 2_000_000_000_000, '5']) {
  test(`${typeof upTo} ${upTo} is refused`, async () => {
    const counting = Promise.resolve(CountPrimes({ upTo: upTo as number }, contextFor('CountPrimes')))
    const error = await counting.catch((error: unknown) => error)
    assert.instance(error, RangeError)
  })
}
