import { createBackground, Queue, Snooze } from '../../mod.ts'
import { poolOf } from '../../src/database/connections/pool.ts'
import { markStarted, rescueJobs } from '../../src/sql/worker/rescue.ts'
import { defineTask } from '../../src/task.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createRecorder, fill, work } from './work.ts'

const test = suite('the ledger')

const database = await createDatabase()
const { sql } = database
const background = createBackground({ connection: database.url })
onceDone(() => background.close())
await background.migrate()

type Row = Record<string, unknown>

const runsOf = async (id: string): Promise<Row[]> => [
  ...(await sql<Row[]>`select * from kretes.runs where job_id = ${id} order by finished_at`)
]
async function whenRun(id: string, count = 1): Promise<Row[]> {
  await until(async () => (await runsOf(id)).length >= count)
  return await runsOf(id)
}

test('records a run that succeeded, with what its task returned', async () => {
  await using _worker = await work(database, { tasks: { Add: ({ a, b }) => ({ sum: a + b }) } })
  const { id } = await background.schedule({
    task: 'Add',
    payload: { a: 1, b: 2 },
    key: 'sum',
    priority: 3,
    queue: Queue.for('sums')
  })
  const [run] = await whenRun(id)
  assert.is(run?.state, 'succeeded')
  assert.is(run?.task, 'Add')
  assert.is(run?.queue, 'sums')
  assert.is(run?.key, 'sum')
  assert.is(run?.priority, 3)
  assert.is(run?.attempt, 1)
  assert.is(run?.max_attempts, 25)
  assert.is(run?.is_failure, false)
  assert.equal(run?.result, { sum: 3 })
  assert.is(run?.error, null)
  assert.is(run?.payload, null)
  assert.ok(run?.worker)
  const times = ['scheduled_at', 'ready_at', 'started_at', 'finished_at'].map(name => Number(run?.[name]))
  assert.equal(
    times,
    times.toSorted((a, b) => a - b)
  )
  assert.equal([...(await sql`select from graphile_worker.jobs`)], [])
})

test('records every attempt, with its error and what lies behind it', async () => {
  await using _worker = await work(database, {
    backoff: { type: 'fixed', delay: 0 },
    tasks: {
      Fragile: (_input, { attempt }) => {
        if (attempt === 1)
          throw new TypeError('half \ud800 and \0', { cause: new Error('the cause', { cause: 'deep' }) })
        if (attempt === 2) throw new AggregateError([new Error('one'), new Error('two')], 'many')
        return 'at last'
      }
    }
  })
  const { id } = await background.schedule({ task: 'Fragile' })
  const runs = await whenRun(id, 3)
  assert.equal(
    runs.map(({ state }) => state),
    ['failed', 'failed', 'succeeded']
  )
  assert.equal(
    runs.map(({ attempt }) => attempt),
    [1, 2, 3]
  )
  assert.is(runs[0]?.error_name, 'TypeError')
  assert.is(runs[0]?.error_message, 'half \ufffd and \ufffd')
  const error = runs[0]?.error as { stack: string; cause: { message: string; cause: { message: string } } }
  assert.match(error.stack, /^ +at /)
  assert.is(error.cause.message, 'the cause')
  assert.is(error.cause.cause.message, 'deep')
  const { errors } = (runs[1]?.error ?? {}) as { errors: { message: string }[] }
  assert.equal(
    errors.map(({ message }) => message),
    ['one', 'two']
  )
})

test('tells the ways apart in which a run may end', async () => {
  await using _worker = await work(database, {
    tasks: {
      Slow: defineTask({
        name: 'Slow',
        timeout: 50,
        run: (_input, { signal }) => new Promise((_resolve, reject) => signal.addEventListener('abort', reject))
      }),
      Sleepy: (_input, { job }) => {
        if (job.scheduledAt.getTime() === job.runAt.getTime()) throw new Snooze(1)
      },
      Endless: (_input, { signal }) => new Promise((_resolve, reject) => signal.addEventListener('abort', reject))
    }
  })
  const slow = await background.schedule({ task: 'Slow', maxAttempts: 1 })
  const [timedOut] = await whenRun(slow.id)
  assert.is(timedOut?.state, 'timed out')
  assert.is(timedOut?.error_name, 'TimeoutError')
  assert.is(timedOut?.is_failure, true)

  const endless = await background.schedule({ task: 'Endless' })
  await until(
    async () => (await sql`select from graphile_worker.jobs where id = ${endless.id} and locked_at is not null`).length
  )
  await background.cancel(endless.id)
  const [cancelled] = await whenRun(endless.id)
  assert.is(cancelled?.state, 'cancelled')
  assert.is(cancelled?.attempt, 1)
  assert.is(cancelled?.error, null)
  assert.ok(cancelled?.started_at)
})

test('records what is snoozed, and what goes back because the worker stops', async () => {
  let runs = 0
  const worker = await work(database, {
    tasks: {
      Sleepy: () => {
        if (++runs === 1) throw new Snooze(0)
      },
      Endless: (_input, { signal }) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    }
  })
  const sleepy = await background.schedule({ task: 'Sleepy' })
  assert.equal(
    (await whenRun(sleepy.id, 2)).map(({ state }) => state),
    ['snoozed', 'succeeded']
  )
  const endless = await background.schedule({ task: 'Endless' })
  await until(() => worker.running === 1)
  await worker.stop({ timeout: 0 })
  assert.equal(
    (await runsOf(endless.id)).map(({ state }) => state),
    ['released']
  )
  await background.cancel(endless.id)
})

test('records a job that was cancelled while it waited', async () => {
  const { id } = await background.schedule({ task: 'Nobody', delay: '1h' })
  assert.is(await background.cancel(id), 'removed')
  const [run] = await runsOf(id)
  assert.is(run?.state, 'cancelled')
  assert.is(run?.started_at, null)
  assert.is(run?.attempt, 0)
})

test('keeps no result that JSON cannot hold or that is too large, and says so once for each task', async () => {
  const log = createRecorder()
  const circle: Record<string, unknown> = {}
  circle.self = circle
  await using _worker = await work(database, {
    logger: log,
    ledger: { maxResultBytes: 200 },
    tasks: {
      Circle: () => circle,
      Large: () => 'x'.repeat(300),
      Odd: () => ({ text: 'half \ud800, \0 and \\u0000', password: 'secret', nested: [{ API_KEY: 7 }] })
    }
  })
  const jobs = await Promise.all(['Circle', 'Circle', 'Large', 'Odd'].map(task => background.schedule({ task })))
  const runs = await Promise.all(jobs.map(async ({ id }) => (await whenRun(id))[0]))
  assert.equal(
    runs.map(run => run?.state),
    Array(4).fill('succeeded')
  )
  assert.equal(
    runs.map(run => run?.result),
    [
      null,
      null,
      null,
      { text: 'half \ufffd, \ufffd and \\u0000', password: '[redacted]', nested: [{ API_KEY: '[redacted]' }] }
    ]
  )
  const [text] = await sql`select result ->> 'text' as text from kretes.runs where job_id = ${jobs[3]?.id ?? ''}`
  assert.is(text?.text, 'half \ufffd, \ufffd and \\u0000')
  assert.equal(
    log.of('ledger.result').map(({ fields }) => fields.task),
    ['Circle', 'Large']
  )
})

test('keeps payloads if asked to, without secrets', async () => {
  await using _worker = await work(database, {
    ledger: { keepPayloads: true, redact: ['card'] },
    tasks: {
      Pay: input => {
        input.amount = 'changed by the task'
      }
    }
  })
  const payload = { amount: 5, card: { number: '4111' }, newPassword: 'secret' }
  const { id } = await background.schedule({ task: 'Pay', payload })
  assert.equal((await whenRun(id))[0]?.payload, { amount: 5, card: '[redacted]', newPassword: '[redacted]' })
})

test('keeps no secrets of errors and log lines, those that it was told of among them', async () => {
  await using _worker = await work(database, {
    ledger: { redact: ['card'] },
    tasks: {
      Leak: (_input, { logger }) => {
        logger.info('To postgres://ada:word@host/db', { cardNumber: 'word', headers: [['authorization', 'word']] })
        throw { cardNumber: 'word', cause: new Error('password=word') }
      }
    }
  })
  const { id } = await background.schedule({ task: 'Leak', maxAttempts: 1 })
  const [run] = await whenRun(id)
  assert.not.match(JSON.stringify(run).replaceAll('password', ''), 'word')
  const [job] = await sql`select error from kretes.jobs where id = ${id}`
  assert.not.match(job?.error.replaceAll('password', ''), 'word')
})

test('counts what it does not keep', async () => {
  await using _worker = await work(database, {
    ledger: { keepSuccesses: false, keepFailures: false },
    tasks: {
      Uncounted: (_input, { attempt }) => {
        if (attempt === 1) throw new Error('once')
      }
    },
    backoff: { type: 'fixed', delay: 0 }
  })
  const { id } = await background.schedule({ task: 'Uncounted' })
  const counted = async () =>
    await sql`select state, runs::int from kretes.rates where task = 'Uncounted' order by state`
  await until(async () => (await counted()).length === 2)
  assert.equal(
    [...(await counted())].map(row => ({ ...row })),
    [
      { state: 'failed', runs: 1 },
      { state: 'succeeded', runs: 1 }
    ]
  )
  assert.equal(await runsOf(id), [])
})

test('writes nothing when it is off', async () => {
  await using _worker = await work(database, { ledger: false, tasks: { Silent: () => 1 } })
  const { id } = await background.schedule({ task: 'Silent' })
  await until(async () => (await sql`select from graphile_worker.jobs where id = ${id}`).length === 0)
  assert.equal(await runsOf(id), [])
  assert.equal([...(await sql`select from kretes.counters where task = 'Silent'`)], [])
})

test('tells those who wait for a job, when it is over and only then', async () => {
  const told: string[] = []
  const { unlisten } = await sql.listen('kretes:ended', message => void told.push(message))
  await using _worker = await work(database, {
    backoff: { type: 'fixed', delay: 0 },
    tasks: {
      Awaited: (_input, { attempt }) => {
        if (attempt < 3) throw new Error('not yet')
      },
      Doomed: () => {
        throw new Error('never')
      }
    }
  })
  const at = new Date(Date.now() + 500)
  const jobs = [
    await background.schedule({ task: 'Awaited', runAt: at }),
    await background.schedule({ task: 'Doomed', runAt: at, maxAttempts: 2 }),
    await background.schedule({ task: 'Nobody', runAt: at })
  ]
  const unseen = await background.schedule({ task: 'Awaited', runAt: at })
  for (const { id } of jobs) await sql`insert into kretes.waiters values (${id}, 'me', now() + interval '1 hour')`
  await background.cancel(jobs[2]?.id ?? '')
  await until(() => told.length === 3)
  assert.equal((await whenRun(unseen.id, 3)).length, 3)
  const ids = told.map(message => JSON.parse(message) as { schema: string; job: string })
  assert.equal(ids.map(({ job }) => job).toSorted(), jobs.map(({ id }) => id).toSorted())
  assert.equal([...new Set(ids.map(({ schema }) => schema))], ['graphile_worker'])
  await unlisten()
})

test('records jobs that go back while their tasks go on', async () => {
  const gate = Promise.withResolvers<void>()
  const worker = await work(database, { tasks: { Deaf: () => gate.promise } })
  const { id } = await background.schedule({ task: 'Deaf' })
  await until(() => worker.running === 1)
  await worker.stop({ timeout: 0 })
  gate.resolve()
  const [run, ...rest] = await runsOf(id)
  assert.is(run?.state, 'released')
  assert.ok(run?.started_at)
  assert.is(rest.length, 0)
  await background.cancel(id)
})

test('records what a lost worker held, and blames it on nobody who had not begun', async () => {
  const { id: running } = await background.schedule({ task: 'Nobody' })
  const { id: fetched } = await background.schedule({ task: 'Nobody' })
  const { id: last } = await background.schedule({ task: 'Nobody' })
  await sql`
    update graphile_worker._private_jobs
    set locked_by = 'dead', locked_at = now() - interval '2 s', attempts = 1,
      flags = case when id = ${last} then '{"kretes:lost": 2}'::jsonb end
    where id = any(array[${running}, ${fetched}, ${last}]::bigint[])`
  await markStarted(poolOf(sql).execute, 'graphile_worker', last, 'dead')
  await sql`
    insert into kretes.workers (id, host, pid, concurrency, beat_at, running)
    values ('dead', 'gone', 1, 1, now() - interval '1 minute', array[${running}::bigint])`
  await sql`insert into kretes.waiters values (${running}, 'me', now() + interval '1 hour'), (${last}, 'me', now() + interval '1 hour')`
  const told: string[] = []
  const { unlisten } = await sql.listen('kretes:ended', message => void told.push(JSON.parse(message).job))
  const rescue = await rescueJobs(poolOf(sql), 'graphile_worker', 'dead', {
    staleAfterMs: 6_000,
    lostAfterMs: 6_000,
    maxLosses: 3
  })
  assert.equal(rescue, { rescued: 2, failed: [last] })
  const runs = await Promise.all([running, fetched, last].map(async id => (await runsOf(id))[0]))
  assert.equal(
    runs.map(run => [run?.state, run?.attempt, run?.worker, run?.started_at !== null, run?.error_message]),
    [
      ['lost', 1, 'dead', true, null],
      ['lost', 1, 'dead', false, null],
      ['lost', 1, 'dead', true, 'Lost 3 workers: the process that ran it ended each time']
    ]
  )
  await until(() => told.length > 0)
  assert.equal(told, [last])
  await unlisten()
  await sql`select graphile_worker.complete_jobs(array[${running}, ${fetched}, ${last}]::bigint[])`
})

test('takes the trace of a job from its flags', async () => {
  await using _worker = await work(database, { tasks: { Traced: () => {} } })
  const [job] = await sql<{ id: string }[]>`
    select id from graphile_worker.add_job('Traced', '{}', flags => array['other', 'trace:00-abc-def-01'])`
  assert.is((await whenRun(job?.id ?? ''))[0]?.trace_id, '00-abc-def-01')
})

test('works without prepared statements, and in any schema', async () => {
  const own = await createDatabase()
  const schema = 'my "jobs\'s'
  await using its = createBackground({ connection: own.url, schema })
  await using _worker = await work(own, { schema, prepare: false, tasks: { Fine: () => 1 } })
  await its.schedule({ task: 'Fine', queue: Queue.for('one') })
  await until(
    async () => (await own.sql`select from ${own.sql(`kretes_${schema}`)}.runs where state = 'succeeded'`).length === 1
  )
})

test('has counters that equal a recount of its runs', async () => {
  const own = await createDatabase()
  await using its = createBackground({ connection: own.url })
  await its.migrate()
  await using _worker = await work(own, {
    backoff: { type: 'fixed', delay: 0 },
    tasks: {
      Count: ({ n }, { attempt }) => {
        if (n % 7 === 0 && attempt === 1) throw new Error('once')
        if (n % 11 === 0) return new Promise(resolve => setTimeout(resolve, n % 20))
      }
    }
  })
  await fill(own, 'Count', 300)
  await fill(own, 'Count', 100, { queues: 5 })
  await until(async () => (await own.sql`select from graphile_worker.jobs`).length === 0)
  const [total] =
    await own.sql`select count(*)::int, count(distinct job_id)::int as jobs from kretes.runs where state = 'succeeded'`
  assert.equal({ ...total }, { count: 400, jobs: 400 })
  const different = await own.sql`
    with counted as (
      select minute, task, null as queue, state, duration_bucket, sum(runs) as runs, sum(waiting_ms) as waiting, sum(running_ms) as running
      from kretes.counters group by 1, 2, 3, 4, 5
      union all
      select minute, null, queue, state, duration_bucket, sum(runs), sum(waiting_ms), sum(running_ms)
      from kretes.queue_counters group by 1, 3, 4, 5
    ), recounted as (
      select
        date_trunc('minute', finished_at) as minute, task, queue, state,
        floor(8 / ln(2) * ln(greatest(date_part('epoch', took) * 1000, 1))) as duration_bucket, count(*) as runs,
        sum(extract(epoch from waited) * 1000) as waiting, sum(extract(epoch from took) * 1000) as running
      from kretes.runs
      group by grouping sets ((1, 2, 4, 5), (1, 3, 4, 5))
      having grouping(queue) = 1 or queue is not null
    )
    select * from counted c full join recounted r
    on (c.minute, coalesce(c.task, ''), coalesce(c.queue, ''), c.state, c.duration_bucket) = (r.minute, coalesce(r.task, ''), coalesce(r.queue, ''), r.state, r.duration_bucket)
    where (c.runs = r.runs and abs(c.waiting - r.waiting) < 0.1 and abs(c.running - r.running) < 0.1) is not true`
  assert.equal([...different], [])
})
