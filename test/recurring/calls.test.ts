import { createBackground } from '../../src/background.ts'
import { Queue } from '../../src/queue.ts'
import type { RecurringJob } from '../../src/recurring/entry.ts'
import { defineTask } from '../../src/task.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('a call for recurring jobs')

const { url, sql } = await createDatabase()
const background = createBackground({ connection: url })
onceDone(() => background.close())
const { recurring } = background
const DAY = 86_400_000

async function refusalOf(work: Promise<unknown>): Promise<string> {
  const { code, message } = await work.then(
    () => assert.unreachable('it went well'),
    reason => reason
  )
  return `${code}: ${message}`
}

/** Moves the next occurrence, as time does. */
async function move(name: string, byMs: number): Promise<void> {
  await sql`update kretes.recurring set next_at = next_at + ${byMs}::float8 * interval '1 ms' where name = ${name}`
}

test('sets one, and gives it back with its defaults', async () => {
  const before = Date.now()
  const entry = await recurring.set('defaults', { task: 'Note', every: '1d' })
  const { nextAt, createdAt, updatedAt, ...rest } = entry
  assert.equal(rest, {
    name: 'defaults',
    task: 'Note',
    cron: null,
    everyMs: DAY,
    timeZone: 'UTC',
    start: null,
    end: null,
    payload: {},
    queue: null,
    priority: 0,
    maxAttempts: 25,
    missed: 'once',
    overlap: 'skip',
    jitterMs: 0,
    lastAt: null,
    lastJob: null,
    skips: 0,
    skippedAt: null,
    skipReason: null,
    isPaused: false,
    source: null,
    isChanged: false
  })
  assert.ok(Math.abs(nextAt!.getTime() - createdAt.getTime() - DAY) < 60_000)
  assert.ok(nextAt!.getTime() >= before + DAY - 60_000)
  assert.equal(await recurring.get('defaults'), entry)
  assert.is(await recurring.get('another'), undefined)
})

test('sets every option', async () => {
  const entry = await recurring.set('all', {
    task: 'Note',
    payload: { user: 42 },
    queue: Queue.for('mail'),
    priority: 5,
    maxAttempts: 3,
    cron: ' 0   9 * * 1-5 ',
    timeZone: 'Europe/Berlin',
    missed: { all: 7 },
    jitter: '90s',
    start: '2100-01-01T00:00:00Z',
    end: new Date('2101-01-01T00:00:00Z')
  })
  const { cron, timeZone, missed, overlap, jitterMs, payload, queue, priority, maxAttempts } = entry
  assert.equal(
    [cron, timeZone, missed, overlap, jitterMs],
    ['0 9 * * 1-5', 'Europe/Berlin', { all: 7 }, 'queue', 90_000]
  )
  assert.equal([payload, queue, priority, maxAttempts], [{ user: 42 }, 'mail', 5, 3])
  assert.equal([entry.start, entry.end], [new Date('2100-01-01T00:00:00Z'), new Date('2101-01-01T00:00:00Z')])
  // A Friday, at 09:00 in winter.
  assert.equal(entry.nextAt, new Date('2100-01-01T08:00:00Z'))
})

test('sets the same times again without moving the next occurrence, and moves it for other times', async () => {
  const first = await recurring.set('kept', { task: 'Note', every: '1d' })
  const again = await recurring.set('kept', { task: 'Other', every: { hours: 24 }, payload: { a: 1 } })
  assert.equal([again.nextAt, again.createdAt], [first.nextAt, first.createdAt])
  assert.equal([again.task, again.payload], ['Other', { a: 1 }])
  const moved = await recurring.set('kept', { task: 'Other', every: '2d' })
  assert.ok(moved.nextAt!.getTime() > first.nextAt!.getTime())
  const cron = await recurring.set('kept', { task: 'Other', cron: '0 0 1 1 *' })
  const inBerlin = await recurring.set('kept', { task: 'Other', cron: '0 0 1 1 *', timeZone: 'Europe/Berlin' })
  assert.is(cron.nextAt!.getTime() - inBerlin.nextAt!.getTime(), 3_600_000)
})

test('sets one that has ended to go on if its end moves', async () => {
  await recurring.set('ended', { task: 'Note', every: '1d', end: '2100-01-01T00:00:00Z' })
  await sql`update kretes.recurring set next_at = null where name = 'ended'`
  assert.is((await recurring.get('ended'))?.nextAt, null)
  assert.equal(await recurring.preview('ended'), [])
  const { nextAt } = await recurring.set('ended', { task: 'Note', every: '1d', end: '2101-01-01T00:00:00Z' })
  assert.ok(nextAt)
})

test('belongs to a transaction of the caller', async () => {
  const undone = new Error('undone')
  const rollback = sql.begin(async transaction => {
    const entry = await background.with(transaction).recurring.set('in transaction', { task: 'Note', every: '1d' })
    assert.equal(await background.with(transaction).recurring.get('in transaction'), entry)
    assert.is(await recurring.get('in transaction'), undefined)
    throw undone
  })
  assert.is(await rollback.catch(error => error), undone)
  assert.is(await recurring.get('in transaction'), undefined)
  await sql.begin(async transaction => {
    const there = background.with(transaction).recurring
    await there.set('in transaction', { task: 'Note', every: '1d' })
    await there.pause('in transaction')
    await there.runNow('in transaction')
  })
  assert.is((await recurring.get('in transaction'))?.isPaused, true)
  assert.is((await sql`select from kretes.jobs where schedule = 'in transaction'`).length, 1)
})

test('lists by name, in pages, by task, and by a part of the name', async () => {
  await using own = createBackground({ connection: (await createDatabase()).url })
  const names = [
    '',
    'A',
    '%',
    '_x',
    "it's",
    '"q"',
    'a B  c',
    '\\',
    'naïve:ß',
    '日本語',
    '😀',
    'z'.repeat(100),
    '😀'.repeat(100)
  ]
    .map((name, index) => name || `n${index}`)
    .concat(['line\nbreak', 'null', '{a,b}', ' '])
  for (const [index, name] of names.entries()) {
    await own.recurring.set(name, { task: index % 2 ? 'Odd' : 'Even', every: '1d' })
    assert.is((await own.recurring.get(name))?.name, name)
    const job = await own.recurring.runNow(name)
    assert.equal([job.schedule, (await own.job(job.id))?.schedule], [name, name])
  }
  const found: string[] = []
  for (let cursor: string | undefined, page = 0; page === 0 || cursor; page++) {
    const { entries, cursor: next } = await own.recurring.list({ limit: 4, cursor })
    assert.ok(entries.length === 4 || !next)
    found.push(...entries.map(({ name }) => name))
    cursor = next
  }
  assert.equal(
    found,
    [...names].sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)))
  )
  const search = async (text: string) => (await own.recurring.list({ search: text })).entries.map(({ name }) => name)
  assert.equal(await search('%'), ['%'])
  assert.equal(await search('_'), ['_x'])
  assert.equal(await search('NAïVE'), ['naïve:ß'])
  assert.equal(await search('\\'), ['\\'])
  assert.equal(await search('A b'), ['a B  c'])
  const odd = (await own.recurring.list({ task: 'Odd' })).entries
  assert.is(odd.length, Math.floor(names.length / 2))
  assert.ok(odd.every(({ task }) => task === 'Odd'))
  assert.equal((await own.recurring.list({ task: 'None' })).entries, [])
  assert.match(await refusalOf(own.recurring.list({ cursor: 'x' })), 'Cannot list recurring jobs: the cursor is "x"')
  assert.match(await refusalOf(own.recurring.list({ tsak: 'x' } as never)), 'Did you mean task?')
})

test('pauses and resumes an interval in its phase, and misses nothing meanwhile', async () => {
  const { nextAt } = await recurring.set('phase', { task: 'Note', every: '1h' })
  const paused = await recurring.pause('phase')
  assert.equal([paused.isPaused, paused.nextAt], [true, null])
  assert.equal(await recurring.pause('phase'), { ...paused, updatedAt: (await recurring.get('phase'))!.updatedAt })
  // The pause lasts for 3 hours and some more.
  await move('phase', -3 * 3_600_000 - 600_000)
  assert.is((await recurring.set('phase', { task: 'Note', every: '1h' })).isPaused, true)
  const preview = await recurring.preview('phase', 1)
  const resumed = await recurring.resume('phase')
  assert.is(resumed.isPaused, false)
  assert.is(resumed.nextAt!.getTime(), nextAt!.getTime() - 600_000)
  assert.equal(preview[0]?.at, resumed.nextAt)
  assert.equal(await recurring.resume('phase'), resumed)
})

test('runs one now, also while it is paused, and the next occurrence stays', async () => {
  const { nextAt } = await recurring.set('now', {
    task: 'Note',
    every: '1h',
    payload: { a: 1 },
    priority: 3,
    maxAttempts: 4
  })
  const job = await recurring.runNow('now')
  assert.equal([job.task, job.schedule, job.priority, job.maxAttempts], ['Note', 'now', 3, 4])
  assert.ok(Math.abs(job.occurrence!.getTime() - job.scheduledAt.getTime()) < 2_000)
  const listed = await background.job(job.id)
  assert.equal([listed?.schedule, listed?.occurrence], ['now', job.occurrence])
  assert.equal((await background.jobs({ search: job.id })).jobs[0]?.payload, { a: 1 })
  const after = (await recurring.get('now'))!
  assert.equal([after.nextAt, after.lastJob, after.lastAt], [nextAt, job.id, null])
  await recurring.pause('now')
  assert.ok((await recurring.runNow('now')).id !== job.id)
  await recurring.resume('now')
  assert.equal((await recurring.get('now'))?.nextAt, nextAt)
  const [row] = await sql`select schedule, occurrence from kretes.jobs where id = ${job.id}`
  assert.equal([row?.schedule, row?.occurrence], ['now', job.occurrence])
})

test('runs jobs of overlap "queue" in a queue of their own', async () => {
  await recurring.set('queued', { task: 'Note', every: '1h', overlap: 'queue' })
  assert.is((await recurring.runNow('queued')).queue, 'recurring:queued')
  await recurring.set('queued', { task: 'Note', every: '1h', overlap: 'queue', queue: Queue.for('mine') })
  assert.is((await recurring.runNow('queued')).queue, 'mine')
})

test('previews from the next occurrence on', async () => {
  const { nextAt } = await recurring.set('preview', { task: 'Note', every: '1h' })
  const found = await recurring.preview('preview', 3)
  assert.equal(
    found.map(({ at }) => at.getTime() - nextAt!.getTime()),
    [0, 3_600_000, 7_200_000]
  )
  assert.is((await recurring.preview('preview')).length, 10)
  for (const count of [0, 1_001, 1.5]) assert.match(await refusalOf(recurring.preview('preview', count)), 'count is')
})

test('removes one, and its jobs stay', async () => {
  const entry = await recurring.set('removed', { task: 'Note', every: '1h' })
  const job = await recurring.runNow('removed')
  assert.equal(await recurring.remove('removed'), { ...entry, lastJob: job.id })
  assert.is(await recurring.get('removed'), undefined)
  assert.is((await background.job(job.id))?.schedule, 'removed')
})

test('says that there is none, and which one may be meant', async () => {
  await recurring.set('report:weekly', { task: 'Note', every: '1h' })
  const none = 'there is none. Did you mean report:weekly?'
  const calls = { pause: 'pause', resume: 'resume', runNow: 'run', preview: 'preview', remove: 'remove' } as const
  for (const [call, verb] of Object.entries(calls) as [keyof typeof calls, string][]) {
    assert.is(
      await refusalOf(recurring[call]('report:weekley')),
      `NO_RECURRING_JOB: Cannot ${verb} the recurring job "report:weekley": ${none}`
    )
  }
  assert.is(
    await refusalOf(recurring.reset('report:weekly')),
    'NO_RECURRING_JOB: Cannot reset the recurring job "report:weekly": no code declares it'
  )
})

test('sets one name at the same time as others, and leaves one', async () => {
  const all = await Promise.all(
    Array.from({ length: 40 }, (_, n) => recurring.set('concurrent', { task: `Note${n}`, every: '1h' }))
  )
  assert.is(new Set(all.map(({ nextAt }) => nextAt!.getTime())).size, 1)
  assert.is((await recurring.list({ search: 'concurrent' })).entries.length, 1)
})

test('takes the options of the task, of the Background, and of the workers for a name', async () => {
  await using other = createBackground({ connection: url, defaults: { queue: Queue.for('default'), maxAttempts: 9 } })
  const kindOf = ({ queue, priority, maxAttempts }: RecurringJob) => [queue, priority, maxAttempts]
  const task = defineTask({ name: 'Defined', queue: Queue.for('own'), priority: 2, run() {} })
  const every = '1h'
  assert.equal(kindOf(await other.recurring.set('d', { task, every })), ['own', 2, 9])
  assert.equal(kindOf(await other.recurring.set('d', { task, every, queue: null, priority: 1 })), [null, 1, 9])
  assert.equal(kindOf(await other.recurring.set('d', { task: 'Unknown', every })), ['default', 0, 9])
})

test('shows them in the view kretes.schedules', async () => {
  await recurring.set('viewed', { task: 'Note', every: '90s', jitter: '5s', missed: 'skip', overlap: 'allow' })
  await recurring.pause('viewed')
  const [row] = await sql`
    select *, every::text as every, jitter::text as jitter from kretes.schedules where name = 'viewed'`
  const { task, cron, every, jitter, time_zone, most_missed, overlap, next_at, paused_at, priority, max_attempts } =
    row!
  assert.equal([task, cron, every, jitter, time_zone], ['Note', null, '00:01:30', '00:00:05', 'UTC'])
  assert.equal([most_missed, overlap, next_at, priority, max_attempts], [0, 'allow', null, 0, 25])
  assert.instance(paused_at, Date)
})
