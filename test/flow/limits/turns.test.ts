import { claimingTimings } from '../../../src/rules/timings.ts'
import { createTurns, type Turns } from '../../../src/worker/claiming/turns.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'

const test = suite('the turns of lanes')
const original = claimingTimings.longestRestMs
test.after.each(() => {
  claimingTimings.longestRestMs = original
})

const FULL = { spare: 0, isLonger: false }
const blocked = (id: number): { id: number; isStalled: boolean } => ({ id, isStalled: false })
const stalled = (id: number): { id: number; isStalled: boolean } => ({ id, isStalled: true })

function start(...lanes: number[]): Turns {
  const turns = createTurns(60_000, () => true)
  turns.found(lanes, true)
  return turns
}

test('go round: a lane that has more jobs and free slots comes again after the others', () => {
  const turns = start(1, 2, 3)
  assert.equal(turns.take(2), [1, 2])
  turns.got(1, { spare: 1, isLonger: true })
  turns.putBack([2])
  assert.equal(turns.take(9), [2, 3, 1])
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
