import postgres from 'postgres'
import { statusScreen } from '../../cli/output/status-screen.ts'
import type { Finding } from '../../src/diagnose/doctor/finding.ts'
import type { Limits } from '../../src/diagnose/doctor/limits.ts'
import { diagnose } from '../../src/diagnose/doctor.ts'
import { Queue } from '../../src/queue.ts'
import type { QueueChoice } from '../../src/sql/flow/choice.ts'
import { defineTask } from '../../src/task.ts'
import type { TestDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { prepare } from './prepare.ts'

const doctor = suite('doctor() and pauses')
const status = suite('status() and pauses')

const DAY_MS = 86_400_000

doctor('finds what has been paused for longer than three days, however long, and nothing newer', async () => {
  const { database, background } = await prepare()
  await background.pause({ queue: "it's", by: 'Ada', reason: 'The mail server is down' })
  await background.pause({ task: 'Count', by: 'Bob' })
  await background.pause({ all: true, by: 'Eve' })
  assert.equal(await background.doctor(), { isHealthy: true, findings: [] })
  await database.sql`
    update kretes.paused set paused_at = now() - case kind
      when 'queue' then interval '3 days 1 minute' when 'task' then interval '2 days 23 hours' else interval '40 days' end`
  const { findings } = await background.doctor()
  assert.equal(
    findings.map(({ code, severity, message, remedy }) => [code, severity, message, remedy]),
    [
      [
        'long-pause',
        'warning',
        'Everything has been paused for 40 days, by Eve',
        'Its jobs wait. Resume it: kretes background resume --all'
      ],
      [
        'long-pause',
        'warning',
        "The queue it's has been paused for 3 days, by Ada: The mail server is down",
        "Its jobs wait. Resume it: kretes background resume --queue 'it'\\''s'"
      ]
    ]
  )
})

doctor('goes by the limit that it is given', async () => {
  const { database, background } = await prepare()
  await background.pause({ task: 'Count' })
  assert.equal(await look(database, { pauseAgeMs: DAY_MS }), [])
  const [finding, ...rest] = await look(database, { pauseAgeMs: 0 })
  assert.equal([finding?.code, rest], ['long-pause', []])
  await background.resume({ task: 'Count' })
  assert.equal(await look(database, { pauseAgeMs: 0 }), [])
})

doctor('finds jobs that no worker takes, for their queue or for the version of their task', async () => {
  const { database, background } = await prepare()
  const { sql } = database
  const codes = async (): Promise<unknown[]> => (await background.doctor()).findings.map(({ code }) => code)
  const register = async (id: string, queues: QueueChoice | null, versions: object | null = null): Promise<void> => {
    await sql`
      insert into kretes.workers (id, host, pid, concurrency, tasks, queues, task_versions, beat_at)
      values (${id}, 'elsewhere', 1, 4, '{Count,Mail}', ${queues as never}::json, ${versions as never}::json, now() + interval '1 hour')`
  }
  await register('first', { kind: 'only', names: ['one'] }, { Mail: 1 })
  await background.schedule({ task: 'Count', queue: Queue.for('one') })
  await background.schedule({ task: 'Count', delay: '1h' })
  assert.equal(await codes(), [])
  const { id } = await background.schedule({ task: 'Count' })
  const Mail = defineTask({ name: 'Mail', version: 2, run: () => {} })
  for (let n = 0; n < 3; n++) await background.schedule({ task: Mail, queue: Queue.for('one') })
  const [finding, ...rest] = (await background.doctor()).findings
  assert.equal([finding?.code, rest], ['not-taken', []])
  assert.match(finding!.message, /: Mail \(3\), Count \(1\)$/)
  assert.match((await background.why(id)).reasons[0]!.message, 'takes jobs without a queue')
  await register('second', { kind: 'none', names: [] })
  assert.match((await background.doctor()).findings[0]!.message, /: Mail \(3\)$/)
  await sql`update kretes.workers set task_versions = '{"Mail": 2}' where id = 'second'`
  assert.equal(await codes(), ['not-taken'], 'the newer one does not take the queue')
  await register('third', { kind: 'except', names: ['one'] }, { Mail: 2 })
  assert.equal(await codes(), ['not-taken'])
  await sql`update kretes.workers set queues = '{"kind": "except", "names": ["two"]}' where id = 'third'`
  assert.equal(await codes(), [])
  await sql`delete from kretes.workers where id = 'third'`
  // As an older worker registers.
  await register('old', null)
  assert.equal(await codes(), ['not-taken'])
  await sql`delete from graphile_worker._private_jobs where flags is not null`
  assert.equal(await codes(), [])
})

status('lists all pauses, the oldest first', async () => {
  const { background } = await prepare()
  assert.equal((await background.status()).pauses, [])
  for (const n of [3, 1, 2]) await background.pause({ queue: `queue ${n}`, reason: `reason ${n}` })
  const { pauses } = await background.status()
  assert.equal(pauses, await background.pauses())
  assert.equal(
    pauses.map(({ name }) => name),
    ['queue 3', 'queue 1', 'queue 2']
  )
})

status('shows three pauses on its screen, and how many more there are', async () => {
  const { background } = await prepare()
  const lines = async (width = 100): Promise<string[]> => {
    const screen = statusScreen(await background.status(), { style: (_, text) => text, width })
    return screen.filter(line => /pause/.test(line))
  }
  assert.equal(await lines(), [])
  await background.pause({ all: true, by: 'Ada' })
  await background.pause({ task: 'Count', by: 'Bob', reason: 'Two\nlines \u001b[31m' })
  await background.pause({ queue: 'one', by: 'Eve' })
  const three = await lines()
  assert.is(three.length, 3)
  assert.match(three[0]!, /^paused: everything, .+ by Ada$/)
  assert.match(three[1]!, /^paused: task Count, .+ by Bob: Two lines \\u001b\[31m$/)
  assert.match(three[2]!, /^paused: queue one, .+ by Eve$/)
  await background.pause({ queue: 'two' })
  assert.equal((await lines()).slice(3), ['and 1 more pause'])
  await background.pause({ queue: 'x'.repeat(128), reason: 'y'.repeat(500) })
  assert.equal((await lines()).slice(3), ['and 2 more pauses'])
  await background.resume({ all: true })
  await background.resume({ task: 'Count' })
  for (const line of await lines(40)) assert.ok(line.length <= 40, line)
  assert.is((await lines(40)).length, 3)
})

async function look({ url }: TestDatabase, limits: Partial<Limits>): Promise<readonly Finding[]> {
  const client = postgres(url, { max: 1, onnotice: () => {} })
  try {
    return (await diagnose({ client, schema: 'graphile_worker', label: 'the database', limits })).findings
  } finally {
    await client.end({ timeout: 1 })
  }
}
