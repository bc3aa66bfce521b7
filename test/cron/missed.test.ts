import { dueOccurrences } from '../../src/cron/occurrences.ts'
import { assert, suite } from '../helpers/suite.ts'
import { recurringOf } from './table.ts'

const test = suite('occurrences that are due')

const FIRST = Date.parse('2026-05-01T12:00:00Z')
const HOUR = 3_600_000
const EACH_SECOND = 1_000
const TWO_WEEKS = 14 * 24 * HOUR

function hours(...counts: number[]): number[] {
  return counts.map(count => FIRST + count * HOUR)
}

const hourly = recurringOf({ cron: '@hourly' })

test('include the first at its own moment, and the next comes after it', () => {
  assert.equal(dueOccurrences(hourly, FIRST, FIRST), { occurrences: [FIRST], leftOut: null, nextMs: FIRST + HOUR })
})

test('that were missed come once, the latest of them', () => {
  const due = dueOccurrences(hourly, FIRST, FIRST + 5.5 * HOUR)
  assert.equal(due, { occurrences: hours(5), leftOut: 'missed', nextMs: FIRST + 6 * HOUR })
  const one = dueOccurrences(hourly, FIRST, FIRST + 0.5 * HOUR)
  assert.equal(one, { occurrences: hours(0), leftOut: null, nextMs: FIRST + HOUR })
})

test('that were missed are skipped', () => {
  const due = dueOccurrences({ ...hourly, mostMissed: 0 }, FIRST, FIRST + 5.5 * HOUR)
  assert.equal(due, { occurrences: [], leftOut: 'missed', nextMs: FIRST + 6 * HOUR })
})

test('that were missed come as the latest n, however many there are', () => {
  const after = FIRST + 5.5 * HOUR
  const withMost = (mostMissed: number) => dueOccurrences({ ...hourly, mostMissed, overlap: 'queue' }, FIRST, after)
  const nextMs = FIRST + 6 * HOUR
  assert.equal(withMost(2), { occurrences: hours(4, 5), leftOut: 'missed', nextMs })
  assert.equal(withMost(5), { occurrences: hours(1, 2, 3, 4, 5), leftOut: 'missed', nextMs })
  assert.equal(withMost(6), { occurrences: hours(0, 1, 2, 3, 4, 5), leftOut: null, nextMs })
  assert.equal(withMost(7), { occurrences: hours(0, 1, 2, 3, 4, 5), leftOut: null, nextMs })
  assert.equal(withMost(1_000), { occurrences: hours(0, 1, 2, 3, 4, 5), leftOut: null, nextMs })
})

test('of each second in two weeks come as the latest n', () => {
  const nowMs = FIRST + TWO_WEEKS + 500
  for (const rule of [{ everyMs: EACH_SECOND }, { cron: '* * * * * *' }]) {
    const { occurrences, leftOut, nextMs } = dueOccurrences(
      recurringOf({ ...rule, mostMissed: 1_000, overlap: 'allow' }),
      FIRST,
      nowMs
    )
    const latest = FIRST + TWO_WEEKS
    assert.equal(
      occurrences,
      Array.from({ length: 1_000 }, (_, index) => latest - (999 - index) * EACH_SECOND)
    )
    assert.is(leftOut, 'missed')
    assert.is(nextMs, latest + EACH_SECOND)
  }
})

test('of an interval keep their phase after two weeks', () => {
  const rule = recurringOf({ everyMs: 7_000 })
  const { occurrences, nextMs } = dueOccurrences(rule, FIRST, FIRST + TWO_WEEKS)
  // Two weeks are 172,800 intervals.
  assert.equal(occurrences, [FIRST + 172_800 * 7_000])
  assert.is(nextMs, FIRST + 172_801 * 7_000)
})

test('are missed only if the first is more than a minute late', () => {
  const never = recurringOf({ everyMs: 20_000, mostMissed: 0, overlap: 'allow' })
  const { occurrences, leftOut } = dueOccurrences(never, FIRST, FIRST + 60_000)
  assert.equal(
    occurrences,
    [0, 1, 2, 3].map(n => FIRST + n * 20_000)
  )
  assert.is(leftOut, null)
  assert.equal(dueOccurrences(never, FIRST, FIRST + 60_001), {
    occurrences: [],
    leftOut: 'missed',
    nextMs: FIRST + 80_000
  })
})

test('within the minute come each, and with overlap "skip" only as the latest', () => {
  const at = [0, 1, 2].map(n => FIRST + n * 20_000)
  const due = (overlap: 'skip' | 'queue' | 'allow') =>
    dueOccurrences(recurringOf({ everyMs: 20_000, overlap }), FIRST, FIRST + 45_000)
  for (const overlap of ['queue', 'allow'] as const) {
    assert.equal(due(overlap), { occurrences: at, leftOut: null, nextMs: FIRST + 60_000 })
  }
  assert.equal(due('skip'), { occurrences: at.slice(-1), leftOut: 'overlap', nextMs: FIRST + 60_000 })
})

test('after the last one are none', () => {
  const ends = recurringOf({ everyMs: HOUR, endMs: FIRST + 2 * HOUR, mostMissed: 5, overlap: 'queue' })
  assert.equal(dueOccurrences(ends, FIRST, FIRST + 9 * HOUR), {
    occurrences: hours(0, 1, 2),
    leftOut: null,
    nextMs: null
  })
})
