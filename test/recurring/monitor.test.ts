import { createBackground } from '../../src/background.ts'
import type { TaskContext } from '../../src/task.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { work } from '../worker/work.ts'

const test = suite('recurring jobs in status(), why() and doctor()')

test('are counted, and the next one is named', async () => {
  const { background } = await prepare()
  const { recurring } = background
  assert.equal((await background.status()).recurring, { count: 0, paused: 0, next: null })
  await recurring.set('later', { task: 'Note', every: '2h' })
  const { nextAt } = await recurring.set('sooner', { task: 'Note', every: '1h' })
  await recurring.set('paused', { task: 'Note', every: '1s' })
  await recurring.pause('paused')
  await recurring.set('removed', { task: 'Note', every: '1s' })
  await recurring.remove('removed')
  assert.equal((await background.status()).recurring, {
    count: 3,
    paused: 1,
    next: { name: 'sooner', task: 'Note', at: nextAt }
  })
})

test('are counted up to ten thousand', async () => {
  const { background, database } = await prepare()
  await background.recurring.set('one', { task: 'Note', every: '1h' })
  await database.sql`
    insert into kretes.recurring (name, task, every_ms, time_zone, payload, most_missed, overlap, jitter_ms, next_at)
    select 'more ' || n, task, every_ms, time_zone, payload, most_missed, overlap, jitter_ms, next_at
    from kretes.recurring, generate_series(1, 12000) n`
  assert.is((await background.status()).recurring.count, 10_000)
})

test('say when they run next, or that they are paused or over', async () => {
  const { background, database } = await prepare()
  const { recurring } = background
  const { nextAt } = await recurring.set('report', { task: 'Note', every: '1h' })
  const why = await background.why('report')
  assert.is(why.job, null)
  assert.equal(
    why.reasons.map(({ code, at }) => [code, at]),
    [['next-occurrence', nextAt]]
  )
  assert.match(why.reasons[0]?.message ?? '', /^The next occurrence schedules Note at \S+Z, in (60 minutes|1 hour)$/)
  await recurring.pause('report')
  assert.match((await first(background, 'report', 'paused')).message, /^It has been paused since \S+Z\. Resume it/)
  await recurring.resume('report')
  await database.sql`update kretes.recurring set next_at = null`
  await first(background, 'report', 'over')
  await database.sql`update kretes.recurring set next_at = now() - interval '5 minutes'`
  const { message } = await first(background, 'report', 'no-worker')
  assert.match(message, /^An occurrence has been due for 5 minutes, since \S+Z: no worker is running\. Start one/)
  assert.match((await background.why('rapport')).reasons[0]?.message ?? '', /^No job of key "rapport" waits or runs/)
})

test('say that they skip because the previous run is still going', async () => {
  const { background, database } = await prepare()
  const gate = Promise.withResolvers<void>()
  await work(database, { tasks: { Wait: () => gate.promise } })
  await background.recurring.set('slow', { task: 'Wait', every: '1s' })
  const skipped = await until(async () => (await background.recurring.get('slow'))?.skips)
  assert.ok(skipped)
  const { reasons } = await background.why('slow')
  const reason = reasons.find(({ code }) => code === 'skipped')
  assert.match(reason?.message ?? '', /: the previous run is still going\. Job \d+ is running$/)
  assert.is(reason?.job, (await background.recurring.get('slow'))?.lastJob ?? undefined)
  gate.resolve()
})

test('are known to the jobs and runs of their occurrences, also to one that is retried when it is gone', async () => {
  const { background, database } = await prepare()
  const seen: (Date | null)[] = []
  const Report = (_: object, { occurrence }: TaskContext): void => void seen.push(occurrence)
  await work(database, { tasks: { Report }, ledger: { keepPayloads: true } })
  await background.recurring.set('report', { task: 'Report', every: '1h' })
  const { id, schedule, occurrence } = await background.recurring.runNow('report')
  assert.is(schedule, 'report')
  await background.result(id)
  const [run] = (await background.runs({ job: id })).runs
  assert.equal([run?.schedule, run?.occurrence], ['report', occurrence])
  await background.retry(id)
  await until(() => seen.length === 2)
  assert.equal(seen, [occurrence, occurrence])
})

test('are missed by doctor() if no worker knows their task, or they are late', async () => {
  const { background, database } = await prepare()
  await background.recurring.set('report', { task: 'Report', every: '1h' })
  assert.equal((await background.doctor()).findings, [])
  await database.sql`update kretes.recurring set next_at = now() - interval '5 hours'`
  const [late] = (await background.doctor()).findings
  assert.is(late?.code, 'recurring-late')
  assert.is(late?.message, 'The recurring job "report" has been due for 5 hours, and no worker is running')
  await background.recurring.pause('report')
  const worker = await work(database, { tasks: { Note: () => {} } })
  await worker.ready
  const [unknown] = (await background.doctor()).findings
  assert.is(unknown?.code, 'recurring-unknown-task')
  assert.is(unknown?.message, 'No live worker knows Report, the task of recurring jobs: "report"')
})

async function prepare() {
  const database = await createDatabase()
  const background = createBackground({ connection: database.url })
  onceDone(() => background.close())
  return { database, background }
}

async function first(background: ReturnType<typeof createBackground>, name: string, code: string) {
  const { reasons } = await background.why(name)
  assert.is(reasons[0]?.code, code)
  return reasons[0]!
}
