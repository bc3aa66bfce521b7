import { claimingTimings } from '../../../src/rules/timings.ts'
import { createTurns, type Turn, type Turns, type Vain } from '../../../src/worker/claiming/limits/turns.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { virtualTime } from '../../helpers/virtual-time.ts'

const test = suite('the turns of lanes')
const original = claimingTimings.longestRestMs
test.after.each(() => {
  claimingTimings.longestRestMs = original
})

const FULL: Turn = { spare: 0, isLonger: false, readyMs: null, weight: 1 }
const blocked = (id: number): Vain => ({ id, isStalled: false, readyMs: null })
const rested = (id: number, readyMs: number): Vain => ({ id, isStalled: false, readyMs })
const stalled = (id: number): Vain => ({ id, isStalled: true, readyMs: null })

function start(...lanes: number[]): Turns {
  const turns = createTurns(60_000, () => true)
  turns.found(lanes, true)
  return turns
}

test('go round: a lane that has more jobs and free slots comes again after the others', () => {
  const turns = start(1, 2, 3)
  assert.equal(turns.take(2), [1, 2])
  turns.got(1, { ...FULL, spare: 1, isLonger: true })
  turns.putBack([2])
  assert.equal(turns.take(9), [2, 3, 1])
})

test('give a lane as many in a row as it has weight, and then it goes behind the others', () => {
  const turns = start(1, 2)
  const order: number[] = []
  for (let turn = 0; turn < 8; turn++) {
    const [lane] = turns.take(1)
    order.push(lane!)
    turns.got(lane!, { ...FULL, isLonger: true, weight: lane === 1 ? 3 : 1 })
    turns.freed([lane!])
  }
  assert.equal(order, [1, 1, 1, 2, 1, 1, 1, 2])
})

test('are over for a lane that left nothing, whatever its weight', () => {
  const turns = start(1, 2)
  turns.got(turns.take(1)[0]!, { ...FULL, spare: 1, isLonger: true, weight: 3 })
  assert.equal(turns.take(1), [1])
  turns.gotNothing([blocked(1)], true)
  turns.freed([1])
  turns.found([1], false)
  assert.equal(turns.take(9), [2, 1])
})

test('leave out a lane that is full, until a slot of it is free', () => {
  const turns = start(1)
  turns.take(1)
  turns.got(1, FULL)
  turns.found([1], true)
  assert.is(turns.count, 0)
  turns.freed([1])
  turns.found([1], true)
  assert.equal(turns.take(9), [1])
})

test('do not let a lane pause when the worker has freed a slot of it', () => {
  const turns = start(1, 2)
  turns.take(2)
  turns.got(1, FULL)
  turns.gotNothing([blocked(1), blocked(2)], true)
  turns.freed([1])
  turns.found([1, 2], true)
  assert.equal(turns.take(9), [1])
})

test('give the next slot of a shared limit to the lane that waits for longest', () => {
  const turns = start(1, 2, 3)
  turns.take(3)
  turns.got(1, FULL)
  turns.gotNothing([stalled(2), stalled(3)], false)
  turns.found([1, 2, 3], true)
  assert.is(turns.count, 0)
  turns.freed([1])
  assert.equal(turns.take(9), [2, 3])
})

test('try a lane again soon after news, and a full one once for each news', async () => {
  claimingTimings.longestRestMs = 20
  const turns = start(1, 2)
  turns.take(2)
  turns.got(1, FULL)
  turns.gotNothing([blocked(2)], true)
  turns.news()
  assert.ok(turns.untilNextMs <= 20)
  await until(async () => {
    turns.found([1, 2], true)
    return turns.count === 2
  })
  turns.gotNothing(turns.take(9).map(blocked), true)
  turns.found([1, 2], true)
  assert.is(turns.count, 0)
})

test('leave out a lane whose jobs may not begin yet, until they may', () => {
  using time = virtualTime()
  const turns = start(1, 2)
  turns.gotNothing([rested(turns.take(1)[0]!, 1_000)], true)
  turns.found([1, 2], true)
  assert.equal([turns.take(9), turns.nextRestMs], [[2], 1_000])
  time.pass(999)
  turns.found([1], true)
  assert.is(turns.count, 0)
  time.pass(1)
  assert.is(turns.count, 1)
  assert.equal([turns.take(9), turns.nextRestMs], [[1], Number.POSITIVE_INFINITY])
})

test('let a lane rest however much news there is, and however many slots of it are free', () => {
  using time = virtualTime()
  const turns = start(1, 2)
  turns.take(2)
  turns.got(1, { spare: 3, isLonger: true, readyMs: 1_000, weight: 1 })
  turns.gotNothing([rested(2, 1_000)], false)
  time.pass(1)
  turns.news()
  turns.freed([1, 2])
  time.pass(500)
  turns.found([1, 2], true)
  assert.is(turns.count, 0)
  time.pass(499)
  assert.is(turns.count, 2)
})

test('put lanes that have rested in front if they had got nothing, and last if they had got jobs', () => {
  using time = virtualTime()
  const turns = start(1, 2, 3, 4, 5)
  turns.take(4)
  turns.got(1, { spare: 0, isLonger: true, readyMs: 100, weight: 1 })
  turns.gotNothing([rested(2, 100), rested(3, 50)], false)
  turns.got(4, { spare: 0, isLonger: true, readyMs: 50, weight: 1 })
  time.pass(100)
  assert.equal(turns.take(9), [2, 3, 5, 1, 4])
})

test('try a lane again after a poll interval at most, because its limit may have been changed', () => {
  using time = virtualTime()
  const turns = createTurns(5_000, () => true)
  turns.found([1], true)
  turns.gotNothing(
    turns.take(1).map(id => rested(id, 3_600_000)),
    true
  )
  assert.is(turns.nextRestMs, 5_000)
  time.pass(4_999)
  assert.is(turns.count, 0)
  time.pass(1)
  assert.equal(turns.take(9), [1])
})

test('do not try a lane at once whose jobs should have been able to begin already', () => {
  using time = virtualTime()
  const turns = start(1)
  turns.gotNothing(
    turns.take(1).map(id => rested(id, -3)),
    true
  )
  assert.is(turns.count, 0)
  time.pass(turns.nextRestMs)
  assert.equal(turns.take(9), [1])
})

test('do not let the rest of one lane end the pause of the lanes that wait for a shared slot', () => {
  using time = virtualTime()
  const turns = start(1, 2, 3)
  turns.take(3)
  turns.gotNothing([stalled(1), { id: 2, isStalled: true, readyMs: 50 }, blocked(3)], true)
  assert.is(turns.nextRestMs, 50)
  time.pass(50)
  assert.equal(turns.take(9), [2])
  turns.freed([])
  assert.equal(turns.take(9), [1])
})

test('name each lane once, also one that is found, freed and rested', () => {
  using time = virtualTime()
  const turns = start(1)
  turns.take(1)
  turns.got(1, { spare: 1, isLonger: true, readyMs: null, weight: 1 })
  turns.got(turns.take(1)[0]!, { spare: 1, isLonger: true, readyMs: 20, weight: 1 })
  turns.freed([1])
  turns.found([1], true)
  time.pass(20)
  turns.freed([1])
  turns.found([1], true)
  assert.equal(turns.take(9), [1])
  assert.is(turns.count, 0)
})
