import { createBackground } from '../../src/background.ts'
import type { RecurringOptions } from '../../src/recurring/options.ts'
import { recurringTimings } from '../../src/rules/timings.ts'
import type { TaskContext } from '../../src/task.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createRecorder, work } from '../worker/work.ts'

const test = suite('the clock of recurring jobs')

const HOUR = 3_600_000
/** A worker that polls so seldom learns of nothing by polling while a test waits. */
const POLL = { pollInterval: '1h' }

/** A database of its own with a client. */
async function open() {
  const database = await createDatabase()
  const background = createBackground({ connection: database.url })
  const { sql } = database
  return {
    database,
    sql,
    background,
    recurring: background.recurring,
    /** Sets one of every hour, and puts its next occurrence so far into the past. Occurrences are in whole milliseconds. */
    async late(name: string, byMs: number, options: Partial<RecurringOptions> = {}): Promise<number> {
      await background.recurring.set(name, { task: 'Note', every: '1h', ...options } as RecurringOptions)
      const [row] = await sql<{ at: Date }[]>`
        update kretes.recurring
        set next_at = date_trunc('milliseconds', now()) - ${byMs}::float8 * interval '1 ms'
        where name = ${name} returning next_at as at`
      await sql`select pg_notify('kretes:recurring', '')`
      return row!.at.getTime()
    },
    [Symbol.asyncDispose]: () => background.close()
  }
}

/** A task that keeps the occurrences of its runs. */
function createNote() {
  const seen: (readonly [schedule: string | null, occurrence: number | undefined])[] = []
  const run = (_: unknown, { job, occurrence }: TaskContext): void => {
    assert.equal(job.occurrence, occurrence)
    seen.push([job.schedule, occurrence?.getTime()])
  }
  return { seen, run, of: (name: string) => seen.flatMap(([schedule, at]) => (schedule === name ? [at] : [])) }
}

test('schedules an occurrence once, with its moment, and goes on from there', async () => {
  await using here = await open()
  const note = createNote()
  const at = await here.late('line\nbreak', 5_000)
  await using _one = await work(here.database, { tasks: { Note: note.run } })
  await using _two = await work(here.database, { tasks: { Note: note.run } })
  await until(() => note.seen.length > 0)
  const entry = await here.recurring.get('line\nbreak')
  assert.equal([entry?.nextAt?.getTime(), entry?.lastAt?.getTime(), entry?.skips], [at + HOUR, at, 0])
  // One that comes later is scheduled as well, and the first not again.
  const marker = await here.late('marker', 1_000)
  await until(() => note.seen.length >= 2)
  assert.equal(note.seen, [
    ['line\nbreak', at],
    ['marker', marker]
  ])
  await until(async () => (await here.background.runs()).runs.length === 2)
  const { runs } = await here.background.runs()
  assert.equal(runs.map(run => run.occurrence?.getTime()).sort(), [at, marker].sort())
})

test('hears at once of what is set, though the worker polls once in an hour', async () => {
  await using here = await open()
  const note = createNote()
  await using _worker = await work(here.database, { tasks: { Note: note.run }, ...POLL })
  await here.background.schedule({ task: 'Note' })
  await until(() => note.seen.length === 1)
  await here.recurring.set('far', { task: 'Note', every: '1d' })
  const start = new Date(Date.now() + 500)
  await here.recurring.set('soon', { task: 'Note', every: '1h', start })
  await until(() => note.of('soon').length === 1)
  assert.equal(note.of('soon'), [start.getTime()])
})

test('schedules while its worker is busy, and skips while the job of an earlier occurrence is going', async () => {
  await using here = await open()
  const gate = Promise.withResolvers<void>()
  const tasks = { Note: () => gate.promise, Retry: () => Promise.reject(new Error('again')) }
  await here.late('busy', 1_000)
  await here.late('skip', 1_000)
  await using worker = await work(here.database, { tasks, concurrency: 1, ...POLL })
  await until(() => worker.running === 1)
  await until(async () => (await here.recurring.get('skip'))?.lastJob)
  const first = await here.recurring.get('skip')
  await here.late('skip', 0)
  const skipped = await until(async () => {
    const entry = await here.recurring.get('skip')
    return entry?.skips ? entry : undefined
  })
  assert.equal([skipped?.skipReason, skipped?.skips, skipped?.lastJob], ['overlap', 1, first!.lastJob])
  assert.instance(skipped?.skippedAt, Date)
  assert.is((await here.sql`select from kretes.jobs where schedule = 'skip'`).length, 1)
  gate.resolve()
})

test('counts a job that will be retried as going, and one that has failed for good not', async () => {
  await using here = await open()
  const fail = (): never => {
    throw new Error('no')
  }
  await here.late('retrying', 1_000, { task: 'Fail' })
  await here.late('failed', 1_000, { task: 'Fail', maxAttempts: 1 })
  await using _worker = await work(here.database, { tasks: { Fail: fail } })
  const failures = async () => (await here.sql`select from kretes.jobs where state in ('retrying', 'failed')`).length
  await until(async () => (await failures()) === 2)
  const last = (await here.recurring.get('failed'))!.lastJob
  await here.late('retrying', 0, { task: 'Fail' })
  await here.late('failed', 0, { task: 'Fail', maxAttempts: 1 })
  await until(async () => (await here.recurring.get('failed'))?.lastJob !== last)
  const retrying = await until(async () => {
    const entry = await here.recurring.get('retrying')
    return entry?.skips ? entry : undefined
  })
  assert.equal([retrying?.skipReason, (await here.recurring.get('failed'))?.skips], ['overlap', 0])
})

test('lets jobs overlap, or queues them, as told', async () => {
  await using here = await open()
  const gate = Promise.withResolvers<void>()
  const started: (number | undefined)[] = []
  const run = async (_: unknown, { occurrence }: TaskContext): Promise<void> => {
    started.push(occurrence?.getTime())
    await gate.promise
  }
  const missed = { all: 3 }
  const allowed = await here.late('allow', 2.5 * HOUR, { task: 'Allow', missed, overlap: 'allow' })
  const queued = await here.late('queue', 2.5 * HOUR, { task: 'Queue', missed })
  const note = createNote()
  const order: (number | undefined)[] = []
  await using _worker = await work(here.database, {
    concurrency: 8,
    tasks: {
      Allow: run,
      Note: note.run,
      Queue: async (_: unknown, { occurrence }) => void order.push(occurrence?.getTime())
    }
  })
  // All three run at once.
  await until(() => started.length === 3)
  await until(() => order.length === 3)
  assert.equal(
    [...started].sort(),
    [0, 1, 2].map(n => allowed + n * HOUR)
  )
  assert.equal(
    order,
    [0, 1, 2].map(n => queued + n * HOUR)
  )
  gate.resolve()
})

test('treats missed occurrences as told, after two weeks as well', async () => {
  await using here = await open()
  const note = createNote()
  const two = 14 * 24 * HOUR
  const once = await here.late('once', two)
  await here.late('skip', two, { missed: 'skip' })
  const all = await here.late('all', two, { missed: { all: 2 }, overlap: 'allow' })
  const seconds = await here.late('seconds', two, { every: '1s', missed: 'once' })
  await here.late('paused', two)
  await here.recurring.pause('paused')
  const ends = await here.late('ends', 1_000)
  await here.sql`update kretes.recurring set end_at = now() + interval '10 minutes' where name = 'ends'`
  await using _worker = await work(here.database, { tasks: { Note: note.run } })
  await until(() => note.of('all').length === 2 && note.of('once').length === 1 && note.of('ends').length === 1)
  await until(async () => (await here.recurring.get('skip'))?.skips)
  assert.equal(note.of('once'), [once + two])
  assert.equal([...note.of('all')].sort(), [all + two - HOUR, all + two])
  await until(() => note.of('seconds').length > 0)
  assert.ok(note.of('seconds')[0]! >= seconds + two)
  assert.equal(note.of('skip'), [])
  assert.equal(note.of('paused'), [])
  assert.equal(note.of('ends'), [ends])
  assert.equal(
    [(await here.recurring.get('once'))?.skipReason, (await here.recurring.get('skip'))?.lastJob],
    ['missed', null]
  )
  assert.equal([(await here.recurring.get('ends'))?.nextAt, (await here.recurring.get('paused'))?.lastAt], [null, null])
})

test('delays jobs by the jitter', async () => {
  await using here = await open()
  const at = await here.late('jitter', 1_000, { jitter: '10d' })
  await using _worker = await work(here.database, { tasks: { Note() {} } })
  const job = await until(async () => (await here.background.jobs()).jobs[0])
  assert.is(job?.occurrence?.getTime(), at)
  const delay = job!.runAt.getTime() - job!.scheduledAt.getTime()
  assert.ok(delay > 0 && delay <= 240 * HOUR, `${delay} ms`)
})

test('schedules the others if one cannot be computed, or the database refuses one', async () => {
  await using here = await open()
  const logger = createRecorder()
  const note = createNote()
  for (const name of ['cron', 'zone', ...Array.from({ length: 9 }, (_, n) => `good${n}`), 'refused']) {
    await here.late(name, 2_000, name === 'refused' ? { task: 'Refused' } : {})
  }
  const { sql } = here
  await sql`update kretes.recurring set cron = 'nonsense', every_ms = null where name = 'cron'`
  await sql`update kretes.recurring set cron = '@daily', every_ms = null, time_zone = 'No/Where' where name = 'zone'`
  await sql.unsafe(`
    create function refuse() returns trigger language plpgsql as $$ begin
      if (select identifier from graphile_worker._private_tasks where id = new.task_id) = 'Refused' then
        raise exception 'refused by a trigger';
      end if;
      return new;
    end $$;
    create trigger refuse before insert on graphile_worker._private_jobs for each row execute function refuse()`)
  await using _worker = await work(here.database, { tasks: { Note: note.run, Refused() {} }, logger })
  await until(() => note.seen.length === 9)
  // A later round logs them not again.
  await here.late('later', 0)
  await until(() => note.of('later').length === 1)
  const unfit = logger.of('recurring.unfit').map(({ fields }) => fields.schedule)
  assert.equal([...unfit].sort(), ['cron', 'refused', 'zone'])
})

test('tries one that the database has refused again, and schedules it when the reason is gone', async () => {
  const { unfitMs } = recurringTimings
  Object.assign(recurringTimings, { unfitMs: 200 })
  try {
    await using here = await open()
    const logger = createRecorder()
    const note = createNote()
    await here.late('refused', 2_000)
    await here.sql.unsafe(`
      create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$;
      create trigger refuse before insert on graphile_worker._private_jobs for each row execute function refuse()`)
    await using _worker = await work(here.database, { tasks: { Note: note.run }, logger, pollInterval: 100 })
    await until(() => logger.of('recurring.unfit').length > 1)
    assert.equal(
      logger
        .of('recurring.unfit')
        .map(({ level }) => level)
        .slice(0, 2),
      ['error', 'debug']
    )
    await here.sql`drop trigger refuse on graphile_worker._private_jobs`
    await until(() => note.of('refused').length === 1)
  } finally {
    Object.assign(recurringTimings, { unfitMs })
  }
})

test('schedules 700 that are due at once, each once, by three workers', async () => {
  await using here = await open()
  const { sql } = here
  await here.late('x', 10_000)
  await sql`
    insert into kretes.recurring (name, task, every_ms, time_zone, payload, most_missed, overlap, jitter_ms, next_at)
    select 'n' || n, task, every_ms, time_zone, payload, most_missed, overlap, jitter_ms, next_at
    from kretes.recurring, generate_series(1, 699) n`
  const note = createNote()
  const workers = await Promise.all(
    [1, 2, 3].map(() => work(here.database, { tasks: { Note: note.run }, concurrency: 20 }))
  )
  await until(() => note.seen.length >= 700)
  await here.late('marker', 1_000)
  await until(() => note.of('marker').length === 1)
  assert.is(note.seen.length, 701)
  assert.is(new Set(note.seen.map(([name]) => name)).size, 701)
  await Promise.all(workers.map(worker => worker.stop()))
})
