import { createBackground } from '../../src/background.ts'
import { isBeyond, toDate } from '../../src/sql/times.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { countJobs, fill, work } from '../worker/work.ts'

const test = suite('times that a Date cannot hold')

test('are read as the first or the last that it can', () => {
  for (const [text, expected] of [
    ['infinity', 'never'],
    ['-infinity', 'always'],
    ['290000-01-01T00:00:00+00:00', 'never'],
    ['2030-01-31T08:00:00.123456+00:00', '2030-01-31T08:00:00.123Z'],
    ['12000-01-01T00:00:00+00:00', '+012000-01-01T00:00:00.000Z'],
    ['0044-03-15T12:00:00+00:00 BC', '-000043-03-15T12:00:00.000Z']
  ] as const) {
    const date = toDate(text)
    assert.is(isBeyond(date) ?? date.toISOString(), expected, text)
  }
})

test('of a job harm neither it nor others', async () => {
  const database = await createDatabase()
  const { sql } = database
  await using background = createBackground({ connection: database.url })
  await background.migrate()
  const ids: string[] = []
  for (const at of ['infinity', '-infinity', '290000-01-01', '0044-03-15 BC']) {
    const [job] = await sql`select id::text from graphile_worker.add_job('Count', run_at => ${at}::text::timestamptz)`
    ids.push(job!.id)
  }
  await fill(database, 'Count', 5)
  await background.status()
  for (const id of ids) {
    const { job } = await background.why(id)
    assert.ok(job && !Number.isNaN(job.runAt.getTime()))
  }
  assert.ok((await background.jobs()).jobs.every(({ runAt }) => !Number.isNaN(runAt.getTime())))
  const times: unknown[] = []
  await work(database, { tasks: { Count: (_payload, { job }) => void times.push(job.runAt) } })
  await until(async () => (await countJobs(database)) === 2)
  assert.ok(times.every(time => time instanceof Date && !Number.isNaN(time.getTime())))
  const { runs } = await background.runs()
  assert.is(runs.length, 7)
  assert.ok(runs.every(({ runAt, waitedMs }) => !Number.isNaN(runAt.getTime()) && waitedMs! < 600_000))
  const { totals } = await background.status()
  assert.ok(totals.averageWaitedMs! < 600_000)
  assert.is((await sql`select from kretes.runs where waited > interval '10 minutes'`).length, 0)
})
