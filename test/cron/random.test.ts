import { offsetAt } from '../../src/cron/zone.ts'
import { randomFrom } from '../helpers/random.ts'
import { assert, suite } from '../helpers/suite.ts'
import { between, ruleOf } from './table.ts'

const test = suite('occurrences of random expressions')

const seed = Number(process.env.KRETES_TEST_SEED) || Math.floor(Math.random() * 1e9)
const random = randomFrom(seed)
const MINUTE = 60_000
const DAY = 1_440 * MINUTE
const MOST = 600

/** Zones, and days of 2026 and 2027 on which their clocks change. */
const CHANGES = {
  'Europe/Berlin': ['2026-03-29', '2026-10-25', '2027-03-28', '2027-10-31'],
  'America/Havana': ['2026-03-08', '2026-11-01', '2027-03-14', '2027-11-07'],
  'America/New_York': ['2026-03-08', '2026-11-01', '2027-03-14', '2027-11-07'],
  'Australia/Lord_Howe': ['2026-04-05', '2026-10-04', '2027-04-04', '2027-10-03'],
  'Asia/Kathmandu': ['2026-03-29']
}

function pick<Item>(items: readonly Item[]): Item {
  return items[Math.floor(random() * items.length)]!
}

/** A field, its values, and whether it follows real time. */
interface Field {
  readonly text: string
  readonly values: ReadonlySet<number>
  readonly isReal: boolean
}

function randomField(size: number): Field {
  const all = Array.from({ length: size }, (_, value) => value)
  // Most changes are early in the day.
  const some = (): number => Math.floor(random() * (random() < 0.7 && size === 24 ? 4 : size))
  const [low, high] = [some(), some()].sort((left, right) => left - right) as [number, number]
  const step = 2 + Math.floor(random() * 20)
  const kinds: readonly Field[] = [
    { text: '*', values: new Set(all), isReal: true },
    { text: `*/${step}`, values: new Set(all.filter(value => value % step === 0)), isReal: true },
    { text: `${low}`, values: new Set([low]), isReal: false },
    { text: `${low},${high}`, values: new Set([low, high]), isReal: false },
    { text: `${low}-${high}`, values: new Set(all.filter(value => value >= low && value <= high)), isReal: false }
  ]
  return pick(kinds)
}

/**
 * Looks at each minute in turn. In real time each one counts whose local time fits. Of fixed times, each local time counts
 * once: at the first minute that shows it, or, if none does, a later one.
 */
function lookAtEach(minute: Field, hour: Field, timeZone: string, fromMs: number, untilMs: number): number[] {
  const found: number[] = []
  let newest = Number.NEGATIVE_INFINITY
  const fits = (local: number): boolean =>
    minute.values.has((local / MINUTE) % 60) && hour.values.has(((local / 3_600_000) % 24) | 0)
  let offset = 0
  for (let at = fromMs - DAY; at <= untilMs; at += MINUTE) {
    // All of these zones change their clocks at a quarter of an hour.
    if (at % (15 * MINUTE) === 0 || at === fromMs - DAY) offset = offsetAt(timeZone, at)
    const local = at + offset
    let isHit = false
    if (minute.isReal || hour.isReal) isHit = fits(local)
    else if (newest === Number.NEGATIVE_INFINITY) newest = local
    else for (; newest < local; newest += MINUTE) isHit ||= fits(newest + MINUTE)
    if (isHit && at > fromMs) found.push(at)
  }
  return found
}

test(`increase strictly, and are those that a look at each minute finds (KRETES_TEST_SEED=${seed})`, () => {
  for (let round = 0; round < 150; round++) {
    const timeZone = pick(Object.keys(CHANGES)) as keyof typeof CHANGES
    const [minute, hour] = [randomField(60), randomField(24)]
    const cron = `${minute.text} ${hour.text} * * *`
    const fromMs = Date.parse(`${pick(CHANGES[timeZone])}T00:00:00Z`) - DAY + Math.floor(random() * 1_440) * MINUTE
    const untilMs = fromMs + 2 * DAY
    const found = between(ruleOf({ cron, timeZone }), fromMs, untilMs, MOST)
    const shown = `${cron} in ${timeZone} after ${new Date(fromMs).toISOString()}`
    assert.ok(
      found.every((at, index) => index === 0 || at > found[index - 1]!),
      shown
    )
    const expected = lookAtEach(minute, hour, timeZone, fromMs, untilMs).slice(0, MOST)
    assert.equal(found.map(toText), expected.map(toText), shown)
  }
})

function toText(ms: number): string {
  return new Date(ms).toISOString()
}

test(`of all fields increase strictly (KRETES_TEST_SEED=${seed})`, () => {
  const days = [() => '*', () => '?', () => 'L', () => `${1 + Math.floor(random() * 28)}`, () => '*/7', () => '1,15,L']
  const weekdays = ['*', '?', 'MON-FRI', '0', '7', 'SUN', '1,3', '5L', 'TUE#2']
  const months = ['*', 'JAN-MAR', '*/2', '10', '3,10']
  for (let round = 0; round < 300; round++) {
    const timeZone = pick(Object.keys(CHANGES))
    const seconds = random() < 0.5 ? `${randomField(60).text} ` : ''
    const fields = [randomField(60).text, randomField(24).text, pick(days)(), pick(months), pick(weekdays)]
    const cron = `${seconds}${fields.join(' ')}`
    const fromMs = Date.parse('2026-01-01T00:00:00Z') + Math.floor(random() * 730 * DAY)
    const found = between(ruleOf({ cron, timeZone }), fromMs, fromMs + 900 * DAY, 200)
    const isStrict = found.every((at, index) => at > (found[index - 1] ?? fromMs))
    assert.ok(isStrict, `${cron} in ${timeZone} after ${toText(fromMs)}`)
  }
})
