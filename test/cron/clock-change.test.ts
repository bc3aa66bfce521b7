import { nextOccurrence } from '../../src/cron/occurrences.ts'
import { assert, suite } from '../helpers/suite.ts'
import { occurrencesOf, ruleOf } from './table.ts'

const test = suite('an occurrence at a change of the clocks')

/** What a cron expression does in a zone. The expected times follow from the rules of the zone, worked out by hand. */
interface Case {
  readonly cron: string
  readonly after: string
  readonly expected: readonly string[]
}

// 2026-03-29 02:00+01 → 03:00+02, 2026-10-25 03:00+02 → 02:00+01; in 2027 on March 28 and October 31.
const BERLIN: readonly Case[] = [
  // Fixed times in the gap move to its end, once.
  {
    cron: '30 2 * * *',
    after: '2026-03-28T00:00:00Z',
    expected: ['2026-03-28T02:30:00+01:00', '2026-03-29T03:00:00+02:00 forward', '2026-03-30T02:30:00+02:00']
  },
  {
    cron: '30 2 * * *',
    after: '2027-03-27T12:00:00Z',
    expected: ['2027-03-28T03:00:00+02:00 forward', '2027-03-29T02:30:00+02:00']
  },
  {
    cron: '0 2 * * *',
    after: '2026-03-28T12:00:00Z',
    expected: ['2026-03-29T03:00:00+02:00 forward', '2026-03-30T02:00:00+02:00']
  },
  {
    cron: '59 1 * * *',
    after: '2026-03-28T12:00:00Z',
    expected: ['2026-03-29T01:59:00+01:00 forward', '2026-03-30T01:59:00+02:00']
  },
  {
    cron: '0 3 * * *',
    after: '2026-03-28T12:00:00Z',
    expected: ['2026-03-29T03:00:00+02:00 forward', '2026-03-30T03:00:00+02:00']
  },
  {
    cron: '15,45 2 * * *',
    after: '2026-03-28T12:00:00Z',
    expected: ['2026-03-29T03:00:00+02:00 forward', '2026-03-30T02:15:00+02:00', '2026-03-30T02:45:00+02:00']
  },
  {
    cron: '0 2,3 * * *',
    after: '2026-03-28T12:00:00Z',
    expected: ['2026-03-29T03:00:00+02:00 forward', '2026-03-30T02:00:00+02:00', '2026-03-30T03:00:00+02:00']
  },
  {
    cron: '30 2,3 * * *',
    after: '2026-03-28T12:00:00Z',
    expected: ['2026-03-29T03:00:00+02:00 forward', '2026-03-29T03:30:00+02:00 forward', '2026-03-30T02:30:00+02:00']
  },
  {
    cron: '30 1-3 * * *',
    after: '2026-03-28T12:00:00Z',
    expected: [
      '2026-03-29T01:30:00+01:00 forward',
      '2026-03-29T03:00:00+02:00 forward',
      '2026-03-29T03:30:00+02:00 forward',
      '2026-03-30T01:30:00+02:00'
    ]
  },
  // On Sundays only, and on the 29th only.
  {
    cron: '30 2 * * SUN',
    after: '2026-03-23T00:00:00Z',
    expected: ['2026-03-29T03:00:00+02:00 forward', '2026-04-05T02:30:00+02:00']
  },
  {
    cron: '30 2 29 3 *',
    after: '2026-01-01T00:00:00Z',
    expected: ['2026-03-29T03:00:00+02:00 forward', '2027-03-29T02:30:00+02:00']
  },
  // Wildcards and steps follow real time over the gap.
  {
    cron: '30 * * * *',
    after: '2026-03-29T00:00:00Z',
    expected: ['2026-03-29T01:30:00+01:00 forward', '2026-03-29T03:30:00+02:00 forward']
  },
  {
    cron: '*/30 * * * *',
    after: '2026-03-29T00:00:00Z',
    expected: ['2026-03-29T01:30:00+01:00 forward', '2026-03-29T03:00:00+02:00 forward']
  },
  {
    cron: '*/20 2 * * *',
    after: '2026-03-28T01:30:00Z',
    expected: ['2026-03-28T02:40:00+01:00', '2026-03-30T02:00:00+02:00']
  },
  {
    cron: '0 */2 * * *',
    after: '2026-03-28T22:30:00Z',
    expected: ['2026-03-29T00:00:00+01:00 forward', '2026-03-29T04:00:00+02:00 forward']
  },
  // Of fixed times that come twice, the first counts.
  {
    cron: '30 2 * * *',
    after: '2026-10-23T22:00:00Z',
    expected: ['2026-10-24T02:30:00+02:00', '2026-10-25T02:30:00+02:00 back', '2026-10-26T02:30:00+01:00']
  },
  {
    cron: '30 2 * * *',
    after: '2027-10-30T22:00:00Z',
    expected: ['2027-10-31T02:30:00+02:00 back', '2027-11-01T02:30:00+01:00']
  },
  {
    cron: '0 2 * * *',
    after: '2026-10-24T12:00:00Z',
    expected: ['2026-10-25T02:00:00+02:00 back', '2026-10-26T02:00:00+01:00']
  },
  // After the first has passed, the second is none.
  { cron: '30 2 * * *', after: '2026-10-25T00:30:00Z', expected: ['2026-10-26T02:30:00+01:00'] },
  { cron: '30 2 * * *', after: '2026-10-25T01:00:00Z', expected: ['2026-10-26T02:30:00+01:00'] },
  { cron: '0 3 * * *', after: '2026-10-25T00:00:00Z', expected: ['2026-10-25T03:00:00+01:00 back'] },
  {
    cron: '0,30 2 * * *',
    after: '2026-10-24T12:00:00Z',
    expected: ['2026-10-25T02:00:00+02:00 back', '2026-10-25T02:30:00+02:00 back', '2026-10-26T02:00:00+01:00']
  },
  {
    cron: '15 1-3 * * *',
    after: '2026-10-24T12:00:00Z',
    expected: [
      '2026-10-25T01:15:00+02:00 back',
      '2026-10-25T02:15:00+02:00 back',
      '2026-10-25T03:15:00+01:00 back',
      '2026-10-26T01:15:00+01:00'
    ]
  },
  // Wildcards and steps come in both of the repeated hours.
  {
    cron: '30 * * * *',
    after: '2026-10-24T23:00:00Z',
    expected: [
      '2026-10-25T01:30:00+02:00 back',
      '2026-10-25T02:30:00+02:00 back',
      '2026-10-25T02:30:00+01:00 back',
      '2026-10-25T03:30:00+01:00 back'
    ]
  },
  {
    cron: '*/30 2 * * *',
    after: '2026-10-24T12:00:00Z',
    expected: [
      '2026-10-25T02:00:00+02:00 back',
      '2026-10-25T02:30:00+02:00 back',
      '2026-10-25T02:00:00+01:00 back',
      '2026-10-25T02:30:00+01:00 back',
      '2026-10-26T02:00:00+01:00'
    ]
  },
  {
    cron: '0 */2 * * *',
    after: '2026-10-24T22:30:00Z',
    expected: ['2026-10-25T02:00:00+02:00 back', '2026-10-25T02:00:00+01:00 back', '2026-10-25T04:00:00+01:00 back']
  }
]

// The same changes as in Berlin.
const VIENNA: readonly Case[] = [
  {
    cron: '30 15 2 * * *',
    after: '2026-03-28T12:00:00Z',
    expected: ['2026-03-29T03:00:00+02:00 forward', '2026-03-30T02:15:30+02:00']
  },
  {
    cron: '59 59 1 * * *',
    after: '2026-03-28T12:00:00Z',
    expected: ['2026-03-29T01:59:59+01:00 forward', '2026-03-30T01:59:59+02:00']
  },
  {
    cron: '*/30 * * * * *',
    after: '2026-03-29T00:59:00Z',
    expected: ['2026-03-29T01:59:30+01:00 forward', '2026-03-29T03:00:00+02:00 forward']
  },
  {
    cron: '10,50 59 2 * * *',
    after: '2026-10-24T12:00:00Z',
    expected: ['2026-10-25T02:59:10+02:00 back', '2026-10-25T02:59:50+02:00 back', '2026-10-26T02:59:10+01:00']
  },
  {
    cron: '*/30 59 2 * * *',
    after: '2026-10-24T12:00:00Z',
    expected: [
      '2026-10-25T02:59:00+02:00 back',
      '2026-10-25T02:59:30+02:00 back',
      '2026-10-25T02:59:00+01:00 back',
      '2026-10-25T02:59:30+01:00 back',
      '2026-10-26T02:59:00+01:00'
    ]
  },
  { cron: '15 30 2 * * *', after: '2027-10-30T12:00:00Z', expected: ['2027-10-31T02:30:15+02:00 back'] }
]

// 2026-03-08 00:00-05 → 01:00-04, 2026-11-01 01:00-04 → 00:00-05; in 2027 on March 14 and November 7.
const HAVANA: readonly Case[] = [
  {
    cron: '0 0 * * *',
    after: '2026-03-07T00:00:00Z',
    expected: ['2026-03-07T00:00:00-05:00', '2026-03-08T01:00:00-04:00 forward', '2026-03-09T00:00:00-04:00']
  },
  { cron: '@daily', after: '2026-03-07T12:00:00Z', expected: ['2026-03-08T01:00:00-04:00 forward'] },
  {
    cron: '30 0 * * *',
    after: '2027-03-13T12:00:00Z',
    expected: ['2027-03-14T01:00:00-04:00 forward', '2027-03-15T00:30:00-04:00']
  },
  {
    cron: '@weekly',
    after: '2026-03-07T12:00:00Z',
    expected: ['2026-03-08T01:00:00-04:00 forward', '2026-03-15T00:00:00-04:00']
  },
  {
    cron: '@hourly',
    after: '2026-03-08T03:30:00Z',
    expected: ['2026-03-07T23:00:00-05:00', '2026-03-08T01:00:00-04:00 forward', '2026-03-08T02:00:00-04:00 forward']
  },
  {
    cron: '0 0 * * *',
    after: '2026-10-31T12:00:00Z',
    expected: ['2026-11-01T00:00:00-04:00 back', '2026-11-02T00:00:00-05:00']
  },
  {
    cron: '30 0 * * *',
    after: '2027-11-06T12:00:00Z',
    expected: ['2027-11-07T00:30:00-04:00 back', '2027-11-08T00:30:00-05:00']
  },
  {
    cron: '@monthly',
    after: '2026-10-31T12:00:00Z',
    expected: ['2026-11-01T00:00:00-04:00 back', '2026-12-01T00:00:00-05:00']
  },
  {
    cron: '@hourly',
    after: '2026-11-01T03:30:00Z',
    expected: ['2026-11-01T00:00:00-04:00 back', '2026-11-01T00:00:00-05:00 back', '2026-11-01T01:00:00-05:00 back']
  }
]

// 2026-04-05 02:00+11 → 01:30+10:30, 2026-10-04 02:00+10:30 → 02:30+11; in 2027 on April 4 and October 3.
const LORD_HOWE: readonly Case[] = [
  {
    cron: '15 2 * * *',
    after: '2026-10-02T00:00:00Z',
    expected: ['2026-10-03T02:15:00+10:30', '2026-10-04T02:30:00+11:00 forward', '2026-10-05T02:15:00+11:00']
  },
  {
    cron: '0 2 * * *',
    after: '2027-10-02T00:00:00Z',
    expected: ['2027-10-03T02:30:00+11:00 forward', '2027-10-04T02:00:00+11:00']
  },
  {
    cron: '0,15,30,45 2 * * *',
    after: '2026-10-03T00:00:00Z',
    expected: ['2026-10-04T02:30:00+11:00 forward', '2026-10-04T02:45:00+11:00 forward', '2026-10-05T02:00:00+11:00']
  },
  {
    cron: '*/15 * * * *',
    after: '2026-10-03T15:00:00Z',
    expected: [
      '2026-10-04T01:45:00+10:30 forward',
      '2026-10-04T02:30:00+11:00 forward',
      '2026-10-04T02:45:00+11:00 forward'
    ]
  },
  {
    cron: '45 1 * * *',
    after: '2026-04-04T00:00:00Z',
    expected: ['2026-04-05T01:45:00+11:00 back', '2026-04-06T01:45:00+10:30']
  },
  {
    cron: '30 1 * * *',
    after: '2027-04-03T00:00:00Z',
    expected: ['2027-04-04T01:30:00+11:00 back', '2027-04-05T01:30:00+10:30']
  },
  { cron: '0 2 * * *', after: '2026-04-04T00:00:00Z', expected: ['2026-04-05T02:00:00+10:30 back'] },
  {
    cron: '*/15 * * * *',
    after: '2026-04-04T14:15:00Z',
    expected: [
      '2026-04-05T01:30:00+11:00 back',
      '2026-04-05T01:45:00+11:00 back',
      '2026-04-05T01:30:00+10:30 back',
      '2026-04-05T01:45:00+10:30 back',
      '2026-04-05T02:00:00+10:30 back'
    ]
  }
]

// 2026-03-28 Saturday 23:00-02 → Sunday 00:00-01, 2026-10-25 Sunday 00:00-01 → Saturday 23:00-02.
const NUUK: readonly Case[] = [
  {
    cron: '30 0 * * *',
    after: '2026-03-28T12:00:00Z',
    expected: ['2026-03-29T00:30:00-01:00 forward', '2026-03-30T00:30:00-01:00']
  },
  {
    cron: '30 23 * * *',
    after: '2026-10-24T12:00:00Z',
    expected: ['2026-10-24T23:30:00-01:00 back', '2026-10-25T23:30:00-02:00']
  }
]

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
