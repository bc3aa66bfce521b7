import { assert, suite } from '../helpers/suite.ts'
import { occurrencesOf, ruleOf } from './table.ts'

const test = suite('an occurrence on certain days')

const MIDNIGHT = 'T00:00:00+00:00'

/** Expressions in UTC, and the days on which they come at midnight. */
const DAYS: readonly (readonly [cron: string, after: string, days: readonly string[]])[] = [
  ['0 0 29 2 *', '2026-01-01', ['2028-02-29', '2032-02-29', '2036-02-29']],
  // 2100 is no leap year.
  ['0 0 29 2 *', '2096-02-29', ['2104-02-29']],
  [
    '0 0 31 * *',
    '2026-01-01',
    ['2026-01-31', '2026-03-31', '2026-05-31', '2026-07-31', '2026-08-31', '2026-10-31', '2026-12-31']
  ],
  ['0 0 30 * *', '2026-01-31', ['2026-03-30', '2026-04-30']],
  ['0 0 L * *', '2028-01-01', ['2028-01-31', '2028-02-29', '2028-03-31', '2028-04-30']],
  ['0 0 L 2 *', '2026-01-01', ['2026-02-28', '2027-02-28', '2028-02-29']],
  ['0 0 * * 5L', '2026-01-01', ['2026-01-30', '2026-02-27', '2026-03-27', '2026-04-24']],
  ['0 0 * * MON#1', '2026-01-01', ['2026-01-05', '2026-02-02', '2026-03-02']],
  // April 3, 10, 17 and 24 of 2026 are Fridays, and the 13th is a Monday. Either day is enough.
  ['0 0 13 * 5', '2026-04-01', ['2026-04-03', '2026-04-10', '2026-04-13', '2026-04-17', '2026-04-24']],
  ['0 0 * * 7', '2026-04-01', ['2026-04-05', '2026-04-12']],
  ['0 0 * * 0', '2026-04-01', ['2026-04-05', '2026-04-12']],
  ['0 0 * * SAT,SUN', '2026-04-01', ['2026-04-04', '2026-04-05', '2026-04-11']],
  ['0 0 * * FRI-7', '2026-04-01', ['2026-04-03', '2026-04-04', '2026-04-05', '2026-04-10']],
  ['0 0 1 JAN,JUL *', '2026-02-01', ['2026-07-01', '2027-01-01']],
  ['0 0 */10 * *', '2026-02-01', ['2026-02-11', '2026-02-21', '2026-03-01', '2026-03-11', '2026-03-21', '2026-03-31']],
  ['0 0 ? * 1', '2026-04-01', ['2026-04-06', '2026-04-13']],
  ['0 0 1 * ?', '2026-04-01', ['2026-05-01', '2026-06-01']],
  ['@yearly', '2026-04-01', ['2027-01-01', '2028-01-01']],
  ['@annually', '2026-04-01', ['2027-01-01', '2028-01-01']],
  ['@monthly', '2026-04-01', ['2026-05-01', '2026-06-01']],
  ['@weekly', '2026-04-01', ['2026-04-05', '2026-04-12']],
  ['@daily', '2026-04-01', ['2026-04-02', '2026-04-03']],
  ['@midnight', '2026-04-01', ['2026-04-02', '2026-04-03']]
]

for (const [cron, after, days] of DAYS) {
  test(`of ${cron} after ${after} comes as in the calendar`, () => {
    const expected = days.map(day => `${day}${MIDNIGHT}`)
    assert.equal(occurrencesOf(ruleOf({ cron }), `${after}T00:00:00Z`, days.length), expected)
  })
}

test('of the 31st in Berlin keeps its local time in summer and in winter', () => {
  assert.equal(occurrencesOf(ruleOf({ cron: '0 9 31 * *', timeZone: 'Europe/Berlin' }), '2026-03-01T00:00:00Z', 5), [
    '2026-03-31T09:00:00+02:00',
    '2026-05-31T09:00:00+02:00',
    '2026-07-31T09:00:00+02:00',
    '2026-08-31T09:00:00+02:00',
    '2026-10-31T09:00:00+01:00'
  ])
})

test('comes neither before start nor after end, and at either of them', () => {
  const startMs = Date.parse('2026-04-02T00:00:00Z')
  const endMs = Date.parse('2026-04-04T00:00:00Z')
  const expected = ['2026-04-02', '2026-04-03', '2026-04-04'].map(day => `${day}${MIDNIGHT}`)
  for (const rule of [ruleOf({ cron: '0 0 * * *', startMs, endMs }), ruleOf({ everyMs: 86_400_000, startMs, endMs })]) {
    assert.equal(occurrencesOf(rule, '2026-01-01T00:00:00Z', 9), expected)
    assert.equal(occurrencesOf(rule, '2026-04-04T00:00:00Z', 9), [])
  }
  const late = ruleOf({ cron: '0 0 * * *', startMs: startMs + 1, endMs: endMs - 1 })
  assert.equal(occurrencesOf(late, '2026-01-01T00:00:00Z', 9), [`2026-04-03${MIDNIGHT}`])
})

test('of an interval is counted from start, also long after it, and else from the moment', () => {
  const rule = ruleOf({ everyMs: 7_000, startMs: Date.parse('2026-01-01T00:00:00Z') })
  // 2026-01-02T00:00:00Z is 86,400 s after the start: 12,342 intervals and 6 s.
  assert.equal(occurrencesOf(rule, '2026-01-02T00:00:00Z', 2), [
    '2026-01-02T00:00:01+00:00',
    '2026-01-02T00:00:08+00:00'
  ])
  assert.equal(occurrencesOf(ruleOf({ everyMs: 7_000 }), '2026-01-02T00:00:00.500Z', 2), [
    '2026-01-02T00:00:07.500+00:00',
    '2026-01-02T00:00:14.500+00:00'
  ])
})
