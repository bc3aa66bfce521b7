import { createBackground } from '../src/background.ts'
import type { BackgroundClient } from '../src/client.ts'
import { Background } from '../src/default.ts'
import type { Job } from '../src/job.ts'
import { Queue } from '../src/queue.ts'
import { defineTask, type Task } from '../src/task.ts'
import { onceDone } from './helpers/cleanup.ts'
import { createDatabase, type TestDatabase } from './helpers/database.ts'
import { assert, suite } from './helpers/suite.ts'
import { until } from './helpers/until.ts'

const test = suite('schedule()')
const refusal = suite('schedule() refuses')
const life = suite('a Background')
const standard = suite('the default Background')

const database = await createDatabase()
const { sql } = database
const background = open()

const SendEmail: Task<{ to?: string }> = () => {}
const input = { to: 'admin@example.com' }

test('returns the job as the database holds it', async () => {
  const before = Date.now()
  const job = await background.schedule({ task: SendEmail, payload: input, queue: Queue.for('email') })
  assert.match(job.id, /^\d+$/)
  assert.instance(job.runAt, Date)
  assert.ok(Math.abs(job.scheduledAt.getTime() - before) < 60_000)
  const { id, runAt, scheduledAt, schedule, occurrence, ...rest } = job
  assert.equal([schedule, occurrence], [null, null])
  const { payload, ...row } = await rowOf(id)
  assert.equal(row, job)
  assert.equal(payload, input)
  assert.equal(rest, { task: 'SendEmail', queue: 'email', priority: 0, attempts: 0, maxAttempts: 25, key: null })
})

test('takes a task by reference, by name and by definition', async () => {
  const Defined = defineTask({ name: 'SendEmail', run: () => {} })
  for (const task of [SendEmail, 'SendEmail', Defined]) {
    const { id, queue } = await background.schedule({ task })
    assert.equal((await rowOf(id)).task, 'SendEmail')
    assert.is(queue, null)
  }
})

test('sends an empty object where no payload is given', async () => {
  const { id } = await background.schedule({ task: SendEmail })
  assert.equal((await rowOf(id)).payload, {})
})

test('leaves a job without a queue in none, and puts it on the queue that the call or else the task names', async () => {
  const Queued = defineTask({ name: 'Queued', queue: Queue.for('of the task'), run: () => {} })
  const queueOf = async ({ id, queue }: Job): Promise<string | null> => {
    assert.is((await rowOf(id)).queue, queue)
    return queue
  }
  assert.is(await queueOf(await background.schedule({ task: SendEmail })), null)
  assert.is(await queueOf(await background.schedule({ task: Queued })), 'of the task')
  assert.is(await queueOf(await background.schedule({ task: Queued, queue: Queue.for('of the call') })), 'of the call')
})

test('stores the payload as JSON does: a Date as text, toJSON asked, one object in two places', async () => {
  const address = { city: 'Gdynia', quote: `it's "Zażółć" \\ 🚀` }
  const payload = { at: new Date('2026-01-02T03:04:05.678Z'), from: address, to: address, list: [1, null, [true]] }
  const { id } = await background.schedule({ task: 'SendEmail', payload })
  assert.equal((await rowOf(id)).payload, { ...payload, at: '2026-01-02T03:04:05.678Z' })
})

test('gives each of many calls at once its own job', async () => {
  const calls = Array.from({ length: 100 }, (_, n) => background.schedule({ task: 'Count', payload: { n } }))
  const jobs = await Promise.all(calls)
  assert.is(new Set(jobs.map(({ id }) => id)).size, 100)
  for (const [n, { id }] of jobs.entries()) assert.equal((await rowOf(id)).payload, { n })
})

const badTasks: [string, unknown, string][] = [
  [
    'a function that a minifier renamed',
    Object.defineProperty(() => {}, 'name', { value: 'a' }),
    'Cannot schedule a task: its name "a" is not in CamelCase with a capital first letter. Name the task by hand, ' +
      'with defineTask({ name, run }), or pass its name as a string'
  ],
  [
    'a function without a name',
    (() => () => {})(),
    'Cannot schedule a task: its name is empty. Name the task by hand, with defineTask({ name, run }), or pass its ' +
      'name as a string'
  ],
  [
    'a name that is not in CamelCase',
    'send-email',
    'Cannot schedule a task: its name "send-email" is not in CamelCase with a capital first letter'
  ],
  ['no task', undefined, 'Cannot schedule a job: task is of type undefined, neither a task nor a name'],
  ['null', null, 'Cannot schedule a job: task is null, neither a task nor a name']
]
for (const [what, task, message] of badTasks) {
  refusal(`${what}, and sends nothing`, () => refuses({ task }, message))
}

const loop: Record<string, unknown> = {}
loop.loop = loop
const badPayloads: [string, unknown, string][] = [
  ['null', null, 'the payload is null, not an object'],
  ['an array', [], 'the payload is an array, not an object'],
  ['a string', 'x', 'the payload is a string, not an object'],
  ['a BigInt', { amount: 12n }, 'payload.amount is a BigInt, which JSON cannot hold'],
  ['a cycle', loop, 'payload.loop refers back to an object that contains it, which JSON cannot hold'],
  ['NaN', { a: { b: [Number.NaN] } }, 'payload.a.b[0] is NaN, which JSON cannot hold'],
  ['a NUL', { to: '\u0000' }, 'payload.to holds the character U+0000, which PostgreSQL cannot hold']
]
for (const [what, payload, reason] of badPayloads) {
  refusal(`${what} as or in the payload, and sends nothing`, () =>
    refuses({ task: SendEmail, payload }, `Cannot schedule SendEmail: ${reason}`)
  )
}

life('close() waits for calls under way, and later ones throw', async () => {
  const other = await createDatabase()
  const closed = createBackground({ connection: other.url })
  await closed.schedule({ task: 'Before' })
  const calls = Array.from({ length: 20 }, () => closed.schedule({ task: 'Under' }))
  await closed.close()
  const settled = await Promise.allSettled(calls)
  assert.ok(settled.every(({ status }) => status === 'fulfilled'))
  const code = 'CLOSED'
  await rejects(closed.schedule({ task: 'Late' }), code, 'Cannot schedule Late: this Background was closed')
  await rejects(closed.migrate(), code, 'Cannot migrate the database: this Background was closed')
  await closed.close()
  await until(async () => (await connectionsTo(other)) === 0, { what: 'the connections to end' })
})

life('close() waits for the first call too, which installs the schema', async () => {
  const other = await createDatabase({ isEmpty: true })
  const first = createBackground({ connection: other.url })
  const call = first.schedule({ task: 'First' })
  await first.close()
  const { id } = await call
  assert.equal([...(await other.sql`select id from graphile_worker.jobs`)], [{ id }])
})

life('that was never used closes without a connection', async () => {
  const unused = createBackground({ connection: 'postgres://nobody@127.0.0.1:1/none' })
  await unused.close()
  await rejects(unused.schedule({ task: 'Late' }), 'CLOSED')
})

life('closes at the end of its scope with await using', async () => {
  let kept: BackgroundClient
  {
    await using scoped = open()
    await scoped.schedule({ task: 'Scoped' })
    kept = scoped
  }
  await rejects(kept.schedule({ task: 'Late' }), 'CLOSED')
})

life("uses a client of the caller's and leaves it open", async () => {
  const other = await createDatabase()
  const own = createBackground({ connection: other.sql })
  const { id } = await own.schedule({ task: SendEmail, payload: input })
  await own.close()
  const rows = await other.sql`select id, task_identifier from graphile_worker.jobs`
  assert.equal([...rows], [{ id, task_identifier: 'SendEmail' }])
  assert.is(await connectionsTo(other), 0)
})

life('opens no more connections than it may', async () => {
  const other = await createDatabase()
  await using narrow = createBackground({ connection: other.url, maxConnections: 1 })
  await narrow.migrate()
  await Promise.all(Array.from({ length: 20 }, () => narrow.schedule({ task: 'Narrow' })))
  assert.is(await connectionsTo(other), 1)
  for (const maxConnections of [0, 1.5, Number.NaN]) {
    assert.throws(
      () => createBackground({ maxConnections }),
      (error: unknown) =>
        error instanceof RangeError &&
        error.message === `Cannot create a Background: maxConnections is ${maxConnections}, not a whole number from 1`
    )
  }
})

life('works without named statements and in a schema of another name', async () => {
  await using other = createBackground({ connection: database.url, prepare: false, schema: 'Other "Engine"' })
  const { id } = await other.schedule({ task: SendEmail, payload: input })
  const rows = await sql`select id, task_identifier as task from ${sql('Other "Engine"')}.jobs`
  assert.equal([...rows], [{ id, task: 'SendEmail' }])
})

standard('is configured before use, not in use, and anew after close()', async () => {
  onceDone(() => Background.close())
  Background.configure({ connection: 'postgres://nobody@127.0.0.1:1/none' })
  Background.configure({ connection: database.url })
  const first = await Background.schedule({ task: 'First' })
  assert.is((await rowOf(first.id)).task, 'First')
  assert.throws(
    () => Background.configure({}),
    (error: { code?: unknown }) => error.code === 'CONFIGURATION'
  )
  await Background.close()
  const second = await Background.schedule({ task: 'Second' })
  assert.is((await rowOf(second.id)).task, 'Second')
  await Background.close()

  const other = await createDatabase({ isEmpty: true })
  Background.configure({ connection: other.url })
  assert.is((await Background.migrate()).hasChanged, true)
  await Background.schedule({ task: 'Third' })
  await Background[Symbol.asyncDispose]()
  assert.equal([...(await other.sql`select task_identifier from graphile_worker.jobs`)], [{ task_identifier: 'Third' }])
})

/** A Background that is closed when the tests are over. */
function open(): BackgroundClient {
  const opened = createBackground({ connection: database.url })
  onceDone(() => opened.close())
  return opened
}

/** The row of a job, under the names of {@linkcode Job}. */
async function rowOf(id: string): Promise<Job & { payload: unknown }> {
  const [row] = await sql<(Job & { payload: unknown })[]>`
    select id, task_identifier as task, queue_name as queue, jobs.priority, jobs.run_at as "runAt", jobs.attempts,
      jobs.max_attempts as "maxAttempts", jobs.key, jobs.created_at as "scheduledAt", payload,
      null as schedule, null as occurrence
    from graphile_worker.jobs
    join (select id, payload from graphile_worker._private_jobs) payloads using (id)
    where id = ${id}`
  if (!row) throw new Error(`There is no job ${id}`)
  return row
}

async function refuses(options: unknown, message: string): Promise<void> {
  const count = async () => (await sql`select count(*)::int, max(id) from graphile_worker.jobs`)[0]
  await background.migrate()
  const before = await count()
  const error = await background.schedule(options as never).catch(thrown => thrown)
  assert.instance(error, TypeError)
  assert.is(error.message, message)
  assert.equal(await count(), before)
}

async function rejects(call: Promise<unknown>, code: string, message?: string): Promise<void> {
  const error = await call.then(
    () => assert.unreachable('it did not reject'),
    thrown => thrown
  )
  assert.is(error.code, code)
  if (message) assert.is(error.message, message)
}

/** How many connections of ours a database has; the test's own do not count. */
async function connectionsTo({ name }: TestDatabase): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int from pg_stat_activity where datname = ${name} and application_name like 'kretes%'`
  return row?.count ?? 0
}
