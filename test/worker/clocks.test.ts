import { fileURLToPath } from 'node:url'
import { createDatabase } from '../helpers/database.ts'
import { type Child, start } from '../helpers/process.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'

const test = suite('recurring jobs and wrong clocks')
const script = fileURLToPath(new URL('../fixtures/recurring.ts', import.meta.url))
const clock = new URL('../fixtures/shifted-clock.ts', import.meta.url).href
const HOUR_MS = 3_600_000
const CLOCKS = { ahead: HOUR_MS, behind: -HOUR_MS }

test('occurrences come by the clock of the database, if those of workers and applications are an hour off', async () => {
  const { url, sql } = await createDatabase()
  const readNow = async (): Promise<number> => {
    const [row] = await sql<{ now: Date }[]>`select clock_timestamp() as now`
    return row!.now.getTime()
  }
  const startShifted = (shiftMs: number, ...args: string[]): Child => {
    const env = { DATABASE_URL: url, KRETES_TEST_CLOCK_SHIFT: String(shiftMs) }
    return start(process.execPath, ['--import', clock, script, ...args], { env })
  }
  const shifts = Object.entries(CLOCKS)
  await Promise.all(shifts.map(([, shiftMs]) => startShifted(shiftMs, 'worker').output(/^ready$/m)))

  const beforeMs = await readNow()
  const apps = shifts.map(async ([name, shiftMs]) => {
    const { stdout } = await startShifted(shiftMs, 'app', name).exit
    const { now, ...times } = JSON.parse(stdout)
    assert.ok(Math.abs(now - beforeMs - shiftMs) < HOUR_MS / 2, `the clock of the app is ${name}`)
    return [name, times] as const
  })
  const nextTimes = await Promise.all(apps)
  const afterMs = await readNow()
  const findLeft = () =>
    sql`select from kretes.schedules where last_at is null or last_at < to_timestamp(${afterMs + 3_000} / 1000.0)`
  await until(async () => (await findLeft()).length === 0, { what: 'the occurrences' })

  const jobs = await sql<{ schedule: string; occurrence: Date; early: boolean }[]>`
    select schedule, occurrence, min(scheduled_at) < occurrence as early
    from (
      select distinct job_id, schedule, occurrence, scheduled_at from kretes.runs
      union select id, schedule, occurrence, scheduled_at from kretes.jobs
    ) job
    group by job_id, schedule, occurrence order by occurrence`
  for (const [name, { every, cron, preview }] of nextTimes) {
    const [everyMs, cronMs, previewMs] = [every, cron, preview].map(Date.parse)
    assert.ok(everyMs! >= beforeMs + 1_000 && everyMs! <= afterMs + 1_000, 'the first comes after an interval')
    assert.ok(cronMs! > beforeMs && cronMs! <= afterMs + 1_000, 'the first comes at the next second')
    assert.ok(previewMs! >= cronMs! && previewMs! <= afterMs + 1_000)
    for (const [kind, firstMs] of Object.entries({ every: everyMs!, cron: cronMs! })) {
      const own = jobs.filter(({ schedule }) => schedule === `${name} ${kind}`)
      // One may have come before the pause.
      const found = own.map(({ occurrence }) => occurrence.getTime()).filter(ms => ms >= firstMs)
      assert.equal(
        found,
        found.map((_, index) => firstMs + index * 1_000),
        `${name} ${kind}`
      )
      assert.ok(found.length >= 3)
      assert.not.ok(own.some(({ early }) => early))
    }
  }
  assert.equal([...(await sql`select name, skips from kretes.schedules where skips > 0`)], [])
})
