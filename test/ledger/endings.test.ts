import { createBackground, defineTask, PermanentError, Snooze } from '../../mod.ts'
import type { BackgroundError } from '../../src/errors.ts'
import type { WorkerOptions } from '../../src/worker/options.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { work } from '../worker/work.ts'

const test = suite('the end of a job')
const results = suite('a result that is not kept')

const database = await createDatabase()
const { sql } = database
const background = createBackground({ connection: database.url })
onceDone(() => background.close())
await background.migrate()

/** How often each job has run, by its id. */
const runs = new Map<string, number>()
const tasks = {
  /** Fails as often as it is told to. */
  Flaky: ({ failures }: { failures: number }, { job }: { job: { id: string } }) => {
    const run = (runs.get(job.id) ?? 0) + 1
    runs.set(job.id, run)
    if (run <= failures) throw new Error(`failure ${run}`)
    return 'done'
  },
  Permanent: () => {
    throw new PermanentError('hopeless')
  }
}
const options: WorkerOptions = { tasks, backoff: { type: 'fixed', delay: 0 }, ledger: { keepPayloads: true } }
const keepingFailures: WorkerOptions = { ...options, ledger: { keepPayloads: true, keepSuccesses: false } }

async function failure(work: Promise<unknown>): Promise<BackgroundError> {
  return await work.then(
    () => assert.unreachable('it resolves'),
    error => error
  )
}
const whenGone = (id: string): Promise<unknown> =>
  until(async () => (await sql`select from graphile_worker.jobs where id = ${id}`).length === 0)
const whenFailed = (id: string): Promise<unknown> => until(async () => (await background.job(id))?.state === 'failed')

/** Nothing tells that the job has failed for good, and nothing runs it again. */
async function demandUnknown(id: string): Promise<void> {
  const error = await failure(background.result(id, { timeout: '20s' }))
  assert.equal(
    [error.code, error.message],
    [
      'JOB_GONE',
      `Cannot give the result of job ${id}: it is gone, and its end is not kept (its last recorded run: failed). It has ended since, or it was deleted`
    ]
  )
  const job = await background.job(id)
  assert.equal([job?.state, job?.isGone], ['gone', true])
  const [reason] = (await background.why(id)).reasons
  assert.is(reason?.code, 'gone')
  const refused = await failure(background.retry(id))
  assert.is(refused.code, 'JOB_GONE')
  assert.equal([...(await sql`select from graphile_worker.jobs where id > ${id}`)], [])
  assert.match(refused.message, /does not show how it ended: it may have succeeded/)
}

async function dropSuccesses(): Promise<void> {
  const partitions = await sql`
    select inhrelid::regclass::text as name from pg_inherits
    where inhparent = 'kretes.ledger'::regclass and pg_get_expr((select relpartbound from pg_class where oid = inhrelid), inhrelid) like '%(false,%'`
  for (const { name } of partitions) await sql.unsafe(`truncate ${name}`)
}

test('is not a failure if a job failed once, then succeeded, and successes are not kept', async () => {
  await using _worker = await work(database, keepingFailures)
  const job = await background.schedule({ task: 'Flaky', payload: { failures: 1 } })
  const waiting = failure(job.result({ timeout: '20s' }))
  await whenGone(job.id)
  assert.is((await waiting).code, 'JOB_GONE')
  await demandUnknown(job.id)
})

test('is not a failure once the successes of that time have been dropped', async () => {
  await using _worker = await work(database, options)
  const job = await background.schedule({ task: 'Flaky', payload: { failures: 1 } })
  assert.is(await job.result({ timeout: '20s' }), 'done')
  await dropSuccesses()
  await demandUnknown(job.id)
})

const REVIVALS = {
  'was retried': (id: string) => background.retry(id),
  'was revived in SQL': (id: string) =>
    sql`select from graphile_worker.reschedule_jobs(array[${id}::bigint], run_at => now(), attempts => 0)`
}
for (const [what, revive] of Object.entries(REVIVALS)) {
  test(`is not a failure if a job had failed for good, ${what} and then succeeded`, async () => {
    await using _worker = await work(database, keepingFailures)
    const { id } = await background.schedule({ task: 'Flaky', payload: { failures: 2 }, maxAttempts: 2 })
    await whenFailed(id)
    await revive(id)
    await whenGone(id)
    assert.is(runs.get(id), 3)
    await demandUnknown(id)
  })
}

test('is not a failure if a job was deleted while it waited for its next attempt', async () => {
  await using _worker = await work(database, { ...options, backoff: { type: 'fixed', delay: '1h' } })
  const { id } = await background.schedule({ task: 'Flaky', payload: { failures: 1 } })
  await until(async () => (await background.job(id))?.state === 'retrying')
  await background.delete(id)
  await demandUnknown(id)
})

test('is a failure if a job had failed for good before it was deleted', async () => {
  await using _worker = await work(database, options)
  const { id } = await background.schedule({ task: 'Flaky', payload: { failures: 1 }, maxAttempts: 1 })
  await whenFailed(id)
  await background.delete(id)
  assert.is((await failure(background.result(id))).code, 'JOB_FAILED')
  assert.equal([(await background.job(id))?.state, (await background.job(id))?.isGone], ['failed', true])
  const { scheduled } = await background.retry(id)
  assert.is(scheduled.length, 1)
  await whenFailed(scheduled[0] ?? '')
  await background.delete(scheduled)
})

test('is its cancellation, though it had failed for good before it was retried', async () => {
  const worker = await work(database, options)
  const { id } = await background.schedule({ task: 'Flaky', payload: { failures: 1 }, maxAttempts: 1 })
  await whenFailed(id)
  await worker.stop()
  await background.retry(id)
  await background.cancel(id)
  assert.is((await failure(background.result(id))).code, 'JOB_CANCELLED')
  await dropSuccesses()
  await demandUnknown(id)
})

test('is a failure if a newer job of its key took its place while it failed', async () => {
  const begun = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  const Held = async (): Promise<void> => {
    begun.resolve()
    await go.promise
    throw new Error('too late')
  }
  const worker = await work(database, { tasks: { Held } })
  const first = await background.schedule({ task: 'Held', key: 'one' })
  await begun.promise
  const second = await background.schedule({ task: 'Held', key: 'one', delay: '1h' })
  go.resolve()
  assert.is((await failure(background.result(first.id, { timeout: '20s' }))).code, 'JOB_FAILED')
  await worker.stop()
  await background.delete([first.id, second.id])
  assert.is((await failure(background.result(first.id))).code, 'JOB_FAILED')
})

test('has not come with a snooze of the last attempt', async () => {
  await using _worker = await work(database, {
    tasks: {
      Sleepy: () => {
        throw new Snooze('1h')
      }
    }
  })
  const { id } = await background.schedule({ task: 'Sleepy', maxAttempts: 1 })
  await until(async () => (await background.job(id))?.runs.length === 1)
  assert.is((await background.job(id))?.runs[0]?.isOver, false)
  await background.delete(id)
  assert.is((await background.job(id))?.state, 'gone')
})

test('shows the attempts that a PermanentError has cost, and no others', async () => {
  await using _worker = await work(database, options)
  const { id } = await background.schedule({ task: 'Permanent', maxAttempts: 5 })
  await whenFailed(id)
  const job = await background.job(id)
  assert.equal([job?.attempts, job?.maxAttempts, job?.runs[0]?.isOver], [1, 5, true])
  const [listed] = (await background.jobs({ state: 'failed', task: 'Permanent' })).jobs
  assert.is(listed?.attempts, 1)
  const [row] = await sql`select attempts, state from kretes.jobs where id = ${id}`
  assert.equal([row?.attempts, row?.state], [1, 'failed'])
  const why = await background.why(id)
  assert.is(why.job?.attempts, 1)
  assert.match(why.reasons[0]?.message ?? '', /^It has failed for good, after attempt 1 of 5: PermanentError: hopeless/)
})

test('cannot be put off: a job that has failed for good is retried, not rescheduled', async () => {
  const worker = await work(database, options)
  const { id } = await background.schedule({ task: 'Permanent', maxAttempts: 5 })
  await whenFailed(id)
  await worker.stop()
  for (const changes of [{ delay: 0 }, { maxAttempts: 9 }]) {
    const error = await failure(background.reschedule(id, changes))
    assert.equal(
      [error.code, error.message],
      ['JOB_FAILED', `Cannot reschedule job ${id}: it has failed for good. To run it again, retry it`]
    )
  }
  await background.retry(id)
  const job = await background.job(id)
  assert.equal([job?.state, job?.attempts, job?.maxAttempts], ['waiting', 0, 5])
  assert.is((await sql`select flags from graphile_worker.jobs where id = ${id}`)[0]?.flags, null)
  await background.delete(id)
})

const circle: { self?: unknown } = {}
circle.self = circle
const UNKEPT: Record<string, [value: unknown, reason: RegExp]> = {
  'is a function': [() => 1, /JSON cannot hold a function$/],
  'is a symbol': [Symbol('odd'), /JSON cannot hold a symbol$/],
  'holds a BigInt': [{ n: 1n }, /JSON cannot hold it: Do not know how to serialize a BigInt$/],
  'refers to itself': [circle, /JSON cannot hold it: Converting circular structure/],
  'is too large': ['x'.repeat(70_000), /it takes 70002 bytes, more than 65536$/]
}
results('says so to who waits for it', async () => {
  const Odd = defineTask({ name: 'Odd', run: ({ name }: { name: string }) => UNKEPT[name]?.[0] })
  await using _worker = await work(database, { tasks: { Odd } })
  for (const [name, [, reason]] of Object.entries(UNKEPT)) {
    const job = await background.schedule({ task: Odd, payload: { name } })
    const error = await failure(job.result({ timeout: '20s' }))
    assert.is(error.code, 'RESULT_NOT_KEPT', name)
    assert.match(error.message, /^Cannot give the result of job \d+: it has succeeded, but its result is not kept: /)
    assert.match(error.message, reason, name)
    const [run] = (await background.job(job.id))?.runs ?? []
    assert.match(run?.resultProblem ?? '', reason)
  }
  const nothing = await background.schedule({ task: Odd, payload: { name: 'no such thing' } })
  assert.is(await nothing.result({ timeout: '20s' }), undefined)
})
