import { createBackground, Queue } from '../../mod.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { countJobs, createRecorder, work } from './work.ts'

const test = suite('cancel()')

const database = await createDatabase()
const { sql } = database
const background = createBackground({ connection: database.url })
onceDone(() => background.close())
await background.migrate()

test.before.each(async () => {
  await sql`truncate graphile_worker._private_jobs`
})

test('removes a job that waits, by id, by key, by { key } and by the job', async () => {
  for (const pick of [job => job.id, job => job.key ?? '', job => ({ key: job.key ?? '' }), job => job] as ((job: {
    id: string
    key: string | null
  }) => string | { id: string } | { key: string })[]) {
    const job = await background.schedule({ task: 'Wait', key: 'welcome:7', delay: '1h' })
    assert.is(await background.cancel(pick(job)), 'removed')
    assert.is(await countJobs(database), 0)
    assert.is(await background.cancel(pick(job)), 'not found')
  }
})

test('removes a job that has failed for good', async () => {
  const { id } = await background.schedule({ task: 'Wait', maxAttempts: 1 })
  await sql`select graphile_worker.permanently_fail_jobs(array[${id}]::bigint[], 'no')`
  assert.is(await background.cancel(id), 'removed')
})

test('works in a transaction of the caller, who may undo it', async () => {
  const { id } = await background.schedule({ task: 'Wait', delay: '1h' })
  await sql
    .begin(async transaction => {
      assert.is(await background.with(transaction).cancel(id), 'removed')
      throw new Error('undone')
    })
    .catch(() => {})
  assert.is(await background.cancel(id), 'removed')
})

for (const job of [undefined, null, 7, '', {}, '99999999999999999999'] as never[]) {
  test(`refuses ${JSON.stringify(job)}`, async () => {
    const error = await background.cancel(job).catch(thrown => thrown)
    assert.ok(error instanceof TypeError || error instanceof RangeError, String(error))
    assert.match(error.message, /^Cannot cancel (?:a job|jobs): /)
  })
}

/** How long signals took to abort. */
const tookMs: number[] = []
for (const [how, end] of [
  ['throws what the signal brings', (signal: AbortSignal) => signal.throwIfAborted()],
  ['throws something else', () => Promise.reject(new Error('no'))],
  ['ends as if nothing was', () => {}]
] as const) {
  test(`aborts the signal of a running job; it is not run again though its task ${how}`, async () => {
    const log = createRecorder()
    const aborted = Promise.withResolvers<unknown>()
    await using worker = await work(database, {
      logger: log,
      backoff: { type: 'fixed', delay: 0 },
      tasks: {
        Endless: async (_input, { signal }) => {
          await new Promise(resolve => signal.addEventListener('abort', resolve))
          aborted.resolve(signal.reason)
          await end(signal)
        }
      }
    })
    const { id } = await background.schedule({ task: 'Endless', queue: Queue.for('endless') })
    await until(() => worker.running === 1)
    const started = performance.now()
    assert.is(await background.cancel(id), 'cancelling')
    const reason = await aborted.promise
    tookMs.push(performance.now() - started)
    assert.is((reason as Error).name, 'AbortError')
    await until(async () => (await countJobs(database)) === 0)
    assert.is(log.of('job.cancelled').length, 1)
    assert.is(log.of('job.failed').length + log.of('job.succeeded').length, 0)
    assert.is(log.of('job.started').length, 1)
    assert.is(await background.cancel(id), 'not found')
  })
}

test('does so within a second', () => {
  // A busy machine makes one or the other late; one that waits for the next look at the marks is late most times.
  assert.is(tookMs.length, 3)
  assert.ok(Math.min(...tookMs) < 1_000, `it took ${tookMs} ms`)
})

test('reaches a running job when the notification is lost', async () => {
  const log = createRecorder()
  await using worker = await work(database, {
    logger: log,
    tasks: { Endless: (_input, { signal }) => new Promise(resolve => signal.addEventListener('abort', resolve)) }
  })
  const { id } = await background.schedule({ task: 'Endless' })
  await until(() => worker.running === 1)
  await sql`update graphile_worker._private_jobs set flags = jsonb_build_object('kretes:cancelled', now()) where id = ${id}`
  await until(() => log.of('job.cancelled').length === 1)
})

test('reaches a running job when the listening connection was lost', async () => {
  const log = createRecorder()
  await using worker = await work(database, {
    logger: log,
    tasks: { Endless: (_input, { signal }) => new Promise(resolve => signal.addEventListener('abort', resolve)) }
  })
  const { id } = await background.schedule({ task: 'Endless' })
  await until(() => worker.running === 1)
  const listeners = () =>
    // What it was asked last: to listen, or, by an empty statement, whether it still answers.
    sql`
      select pid from pg_stat_activity
      where datname = current_database() and application_name = 'kretes worker'
        and (query ilike 'listen "kretes:cancel"%' or query = '')`
  const [before] = (await until(async () => (await listeners()).length === 1)) ? await listeners() : []
  await sql`select pg_terminate_backend(${before?.pid ?? null})`
  await until(async () => {
    const [now] = await listeners()
    return now && now.pid !== before?.pid
  })
  await background.cancel(id)
  await until(() => log.of('job.cancelled').length === 1)
})

test('keeps a job from beginning that a worker has fetched and not begun', async () => {
  const release = Promise.withResolvers<void>()
  const log = createRecorder()
  const ran: number[] = []
  const aborted: number[] = []
  await using _worker = await work(database, {
    concurrency: 2,
    localQueueSize: 10,
    localQueueTtlMs: 60_000,
    logger: log,
    tasks: {
      One: async ({ n }, { signal }) => {
        ran.push(n)
        const stopped = new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()))
        await Promise.race([release.promise, stopped.then(() => aborted.push(n))])
      }
    }
  })
  const jobs = await background.scheduleMany({ task: 'One', payloads: [{ n: 0 }, { n: 1 }, { n: 2 }, { n: 3 }] })
  await until(async () => (await sql`select from graphile_worker.jobs where locked_at is not null`).length === 4)
  await until(() => ran.length === 2)
  // Jobs without a queue of one fetch run in any order.
  const unbegun = jobs.findIndex((_job, n) => !ran.includes(n))
  const begun = ran[0] ?? -1
  assert.is(await background.cancel(jobs[unbegun]?.id ?? ''), 'cancelling')
  // A look that finds this mark has found the one before.
  assert.is(await background.cancel(jobs[begun]?.id ?? ''), 'cancelling')
  await until(() => aborted.length === 1)
  release.resolve()
  await until(async () => (await countJobs(database)) === 0)
  assert.equal(aborted, [begun])
  assert.equal(
    ran.sort(),
    [0, 1, 2, 3].filter(n => n !== unbegun)
  )
  assert.is(log.of('job.cancelled').length, 2)
})

test('is not mistaken for a flag of that name that SQL has put on a job', async () => {
  const log = createRecorder()
  await using _worker = await work(database, { logger: log, tasks: { Marked: () => {} } })
  await sql`select graphile_worker.add_job('Marked', flags => array['kretes:cancelled', 'kretes:lost', 'kretes:started'])`
  await until(async () => (await countJobs(database)) === 0)
  assert.equal([log.of('job.succeeded').length, log.of('job.cancelled').length], [1, 0])
})

test('outlives the worker that was told: the next one does not run the job', async () => {
  const { id } = await background.schedule({ task: 'Orphan' })
  await sql`update graphile_worker._private_jobs set locked_at = now(), locked_by = 'gone', attempts = 1 where id = ${id}`
  assert.is(await background.cancel(id), 'cancelling')
  // As the sweep of a live worker does.
  await sql`update graphile_worker._private_jobs set locked_at = null, locked_by = null, attempts = attempts - 1 where id = ${id}`
  const log = createRecorder()
  await using _worker = await work(database, {
    logger: log,
    tasks: {
      Orphan: () => {
        throw new Error('It ran')
      }
    }
  })
  await until(async () => (await countJobs(database)) === 0)
  assert.is(log.of('job.cancelled').length, 1)
  assert.is(log.of('job.started').length, 0)
})

test('tells of a task that ignores its signal, and waits for its end', async () => {
  const release = Promise.withResolvers<void>()
  const log = createRecorder()
  await using worker = await work(database, { logger: log, tasks: { Deaf: () => release.promise } })
  const { id } = await background.schedule({ task: 'Deaf' })
  await until(() => worker.running === 1)
  await background.cancel(id)
  await until(() => log.of('job.stray').length === 1)
  assert.match(log.of('job.stray')[0]?.message ?? '', /was cancelled and is still running: it ignores its signal/)
  assert.is(worker.running, 1)
  release.resolve()
  await until(async () => (await countJobs(database)) === 0)
  assert.is(log.of('job.cancelled').length, 1)
})
