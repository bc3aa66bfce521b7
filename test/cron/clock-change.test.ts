import { nextOccurrence } from '../../src/cron/occurrences.ts'
import { assert, suite } from '../helpers/suite.ts'
import { occurrencesOf, ruleOf } from './table.ts'
import { BERLIN, HAVANA, LORD_HOWE, NUUK, VIENNA } from './zones.ts'

const test = suite('an occurrence at a change of the clocks')

const ZONES = {
  'Europe/Berlin': BERLIN,
  'Europe/Vienna': VIENNA,
  'America/Havana': HAVANA,
  'Australia/Lord_Howe': LORD_HOWE,
  'America/Nuuk': NUUK
}

for (const [timeZone, cases] of Object.entries(ZONES)) {
  for (const { cron, after, expected } of cases) {
    test(`of ${cron} in ${timeZone} after ${after} comes as worked out by hand`, () => {
      const rule = ruleOf({ cron, timeZone })
      assert.equal(occurrencesOf(rule, after, expected.length), expected)
      assert.is(nextOccurrence(rule, Date.parse(after)), Date.parse(expected[0]!.split(' ')[0]!))
    })
  }
}

test('of an interval follows real time over both changes', () => {
  const rule = ruleOf({ everyMs: 12 * 3_600_000 })
  for (const day of ['2026-03-28', '2026-10-24']) {
    const first = Date.parse(`${day}T06:00:00Z`)
    for (let n = 1; n <= 4; n++) {
      const before = first + (n - 1) * 12 * 3_600_000
      assert.is(nextOccurrence(rule, before, first), before + 12 * 3_600_000)
      assert.is(nextOccurrence(rule, before + 1, first), before + 12 * 3_600_000)
      assert.is(nextOccurrence(rule, before - 1, first), before)
    }
  }
})
