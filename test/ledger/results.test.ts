import { isDeepStrictEqual } from 'node:util'
import postgres from 'postgres'
import { type BackgroundClient, createBackground, PermanentError, type Task } from '../../mod.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createRecorder, work } from '../worker/work.ts'

const test = suite('result()')
const waiting = suite('waiting for results')
const scheduled = suite('a scheduled job')

const database = await createDatabase()
const { sql } = database
const background = open()
await background.migrate()

interface Thrown extends Error {
  code?: string
  cause?: Thrown
}

const Give: Task<{ value?: unknown }> = ({ value }) => value
const Later: Task = () => {}
const Fail: Task<{ isPermanent?: boolean }> = ({ isPermanent }) => {
  const cause = new RangeError('too deep', { cause: new Error('the bottom') })
  if (isPermanent) throw new PermanentError('never', { cause })
  throw Object.assign(new TypeError('not so', { cause }), { extra: 1 })
}
const gates = new Map<string, PromiseWithResolvers<void>>()
const Wait: Task<{ gate: string }, string> = async ({ gate }, { signal, progress }) => {
  progress(0.4)
  signal.addEventListener('abort', () => gateOf(gate).resolve())
  await gateOf(gate).promise
  signal.throwIfAborted()
  return gate
}
function gateOf(gate: string): PromiseWithResolvers<void> {
  const known = gates.get(gate) ?? Promise.withResolvers<void>()
  gates.set(gate, known)
  return known
}
await work(database, {
  tasks: { Give, Fail, Wait, Nothing: () => {} },
  backoff: { type: 'fixed', delay: 0 },
  concurrency: 20
})

const values = [
  1,
  0,
  -1.5,
  'text',
  '',
  'Zażółć 🚀 \u0001',
  true,
  false,
  null,
  [],
  [1, [2]],
  {},
  { deep: { er: [null] } }
]
for (const value of values) {
  test(`gives ${JSON.stringify(value)}`, async () => {
    const job = await background.schedule({ task: Give, payload: { value } })
    assert.equal(await job.result(), value)
    assert.equal(await background.result(job.id), value)
  })
}

test('gives nothing where a task returns nothing', async () => {
  const job = await background.schedule({ task: 'Nothing' })
  assert.is(await job.result(), undefined)
})

test('gives a Date as JSON has it', async () => {
  const task: Task<object, Date> = Object.defineProperty(() => new Date(0), 'name', { value: 'Dated' })
  await using _worker = await work(database, { tasks: { Dated: task } })
  const job = await background.schedule({ task })
  assert.equal(await job.result(), '1970-01-01T00:00:00.000Z')
})

test('waits for a job that begins later', async () => {
  const job = await background.schedule({ task: Wait, payload: { gate: 'later' } })
  const result = job.result({ timeout: '1m' })
  await until(async () => (await sql`select from kretes.waiters where job_id = ${job.id}`).length === 1)
  gateOf('later').resolve()
  assert.is(await result, 'later')
  await until(async () => (await sql`select from kretes.waiters`).length === 0, { what: 'the waiters to be gone' })
})

test('throws the error of a job that has failed for good, after its last attempt or at once', async () => {
  for (const isPermanent of [false, true]) {
    const job = await background.schedule({ task: Fail, payload: { isPermanent }, maxAttempts: isPermanent ? 9 : 2 })
    const error = await thrownBy(job.result())
    const said = isPermanent ? 'PermanentError: never' : 'TypeError: not so'
    assert.is(error.code, 'JOB_FAILED')
    assert.is(error.message, `Cannot give the result of job ${job.id}: it has failed for good: ${said}`)
    const { cause } = error
    assert.instance(cause, Error)
    assert.is(`${cause?.name}: ${cause?.message}`, said)
    assert.ok(cause?.stack?.startsWith(`${said}\n    at `))
    assert.match(cause?.stack ?? '', 'results.test.ts')
    assert.is(String(cause?.cause), 'RangeError: too deep')
    assert.is(String(cause?.cause?.cause), 'Error: the bottom')
    assert.is((await thrownBy(background.result(job.id))).code, 'JOB_FAILED')
  }
})

test('throws what the engine knows of a job that failed without a run', async () => {
  const job = await background.schedule({ task: 'Later', delay: '1h' })
  const result = thrownBy(job.result())
  await sql`select graphile_worker.permanently_fail_jobs(array[${job.id}]::bigint[], 'TypeError: by hand')`
  const error = await result
  assert.is(error.code, 'JOB_FAILED')
  assert.is(String(error.cause), 'TypeError: by hand')
})

test('throws where a job was cancelled, be it while it waits or while it runs', async () => {
  const later = await background.schedule({ task: Later, delay: '1h' })
  const runs = await background.schedule({ task: Wait, payload: { gate: 'cancelled' } })
  await until(() => gates.has('cancelled'))
  const errors = Promise.all([thrownBy(later.result()), thrownBy(runs.result())])
  assert.is(await background.cancel(later), 'removed')
  assert.is(await background.cancel(runs), 'cancelling')
  for (const error of await errors) {
    assert.is(error.code, 'JOB_CANCELLED')
    assert.match(error.message, /^Cannot give the result of job \d+: it was cancelled$/)
  }
})

test('throws where there is no job and no run of it, and where there is none of that key', async () => {
  const gone = await background.schedule({ task: Later, delay: '1h' })
  await background.unschedule(gone)
  for (const reference of [gone, '999999999999', { key: 'none' }]) {
    assert.is((await thrownBy(background.result(reference))).code, 'JOB_GONE')
  }
  assert.is((await thrownBy(gone.result())).code, 'JOB_GONE')
})

test('finds a job by its key while it is there', async () => {
  for (const reference of ['some-key', { key: 'some-key' }]) {
    const job = await background.schedule({ task: Later, delay: '1h', key: 'some-key' })
    const result = thrownBy(background.result(reference))
    await until(async () => (await sql`select from kretes.waiters where job_id = ${job.id}`).length === 1)
    await background.cancel(job)
    assert.is((await result).code, 'JOB_CANCELLED')
  }
})

test('throws when its time is up, and says what the job is at', async () => {
  const later = await background.schedule({ task: Later, delay: '1h' })
  const unknown = await background.schedule({ task: 'Unknown' })
  const runs = await background.schedule({ task: Wait, payload: { gate: 'slow' } })
  await until(
    async () =>
      (await sql`select from kretes.jobs where id = ${runs.id} and progress is not null and state = 'running'`).length >
      0
  )
  const states: [typeof later, string][] = [
    [later, 'it is not due yet'],
    [unknown, 'it waits for a worker'],
    [runs, 'it is running, 40 % done']
  ]
  for (const [job, state] of states) {
    const error = await thrownBy(job.result({ timeout: 300 }))
    assert.is(error.code, 'TIMEOUT')
    assert.is(error.message, `Cannot wait any longer for the result of job ${job.id}: after 300 ms ${state}`)
  }
  gateOf('slow').resolve()
  assert.is(await runs.result(), 'slow')
})

test('gives up when its signal aborts', async () => {
  const job = await background.schedule({ task: Later, delay: '1h' })
  const controller = new AbortController()
  const result = thrownBy(job.result({ signal: controller.signal }))
  const reason = new Error('enough')
  controller.abort(reason)
  assert.is(await result, reason)
  assert.is(await thrownBy(job.result({ signal: controller.signal })), reason)
})

for (const timeout of ['60d', 2 ** 31, Number.MAX_SAFE_INTEGER]) {
  test(`may wait as long as ${timeout}`, async () => {
    const job = await background.schedule({ task: Give, payload: { value: 42 } })
    assert.is(await job.result({ timeout }), 42)
  })
}

for (const [timeout, error] of [
  ['soon', TypeError],
  [Number.NaN, TypeError],
  [Number.POSITIVE_INFINITY, RangeError],
  [-1, RangeError]
] as const) {
  test(`refuses a timeout of ${timeout}`, async () => {
    const job = await background.schedule({ task: Give })
    assert.instance(await thrownBy(job.result({ timeout })), error)
  })
}

for (const job of [undefined, null, 7, '', {}, '99999999999999999999'] as never[]) {
  test(`of ${JSON.stringify(job)} is refused`, async () => {
    const error = await thrownBy(background.result(job))
    assert.ok(error instanceof TypeError || error instanceof RangeError, String(error))
    assert.match(error.message, /^Cannot wait for a job: /)
  })
}

test('works after the commit of the transaction in which the job was scheduled', async () => {
  const jobs = await sql.begin(async transaction => {
    const within = background.with(transaction)
    const [second] = await within.scheduleMany([{ task: Give, payload: { value: 'second' } }])
    return [await within.schedule({ task: Give, payload: { value: 'first' } }), second] as const
  })
  assert.equal(await Promise.all(jobs.map(job => job.result())), ['first', 'second'])
})

waiting('is done on one connection for a thousand jobs, which all settle', async () => {
  await using other = open()
  const before = await listeners()
  const jobs = await other.scheduleMany({
    task: Give,
    payloads: Array.from({ length: 1_000 }, (_, value) => ({ value })),
    delay: '1h'
  })
  const results = Promise.all(jobs.map(job => job.result()))
  await until(async () => (await sql`select from kretes.waiters`).length >= 1_000, { what: 'a thousand waiters' })
  assert.is((await listeners()).filter(pid => !before.includes(pid)).length, 1)
  await other.runNow({ task: 'Give' })
  assert.equal(
    await results,
    jobs.map((_, value) => value)
  )
})

waiting('goes on after its connection was lost, and sees what ended meanwhile', async () => {
  const logger = createRecorder()
  await using other = open({ logger })
  const [during, after] = await Promise.all(
    ['during', 'after'].map(gate => other.schedule({ task: Wait, payload: { gate } }))
  )
  const results = Promise.all([during?.result(), after?.result()])
  await until(async () => (await sql`select from kretes.waiters`).length === 2)
  const before = await listeners()
  await sql`select pg_terminate_backend(pid) from unnest(${before}::int[]) pid`
  gateOf('during').resolve()
  await until(async () => (await listeners()).some(pid => !before.includes(pid)), { what: 'a new connection' })
  gateOf('after').resolve()
  assert.equal(await results, ['during', 'after'])
})

waiting('finds what no notification tells of', async () => {
  const job = await background.schedule({ task: Later, delay: '1h' })
  const result = thrownBy(job.result())
  await until(async () => (await sql`select from kretes.waiters where job_id = ${job.id}`).length === 1)
  // As somebody would who knows nothing of waiters.
  await sql`delete from kretes.waiters where job_id = ${job.id}`
  await sql`select graphile_worker.complete_jobs(array[${job.id}]::bigint[])`
  assert.is((await result).code, 'JOB_GONE')
})

waiting('ends with the Background', async () => {
  const other = open()
  const job = await other.schedule({ task: Later, delay: '1h' })
  const result = thrownBy(job.result())
  await until(async () => (await sql`select from kretes.waiters where job_id = ${job.id}`).length === 1)
  await other.close()
  const error = await result
  assert.is(error.code, 'CLOSED')
  assert.is(error.message, 'Cannot wait for a result: this Background was closed')
  assert.is((await thrownBy(job.result())).code, 'CLOSED')
  assert.is((await thrownBy(other.result(job))).code, 'CLOSED')
})

waiting('leaves no connection behind when nobody waits any more', async () => {
  await using other = open()
  const job = await other.schedule({ task: Give, payload: { value: 1 } })
  await job.result()
  await until(async () => (await listeners()).length === 0, { what: 'the connection to close' })
})

waiting("works with a client of the caller's", async () => {
  const client = postgres(database.url, { max: 1, onnotice: () => {} })
  await using other = createBackground({ connection: client })
  const jobs = await other.scheduleMany([
    { task: Give, payload: { value: 1 } },
    { task: Fail, maxAttempts: 1 }
  ])
  assert.is(await jobs[0].result(), 1)
  assert.is((await thrownBy(jobs[1].result())).code, 'JOB_FAILED')
  await other.close()
  assert.equal([...(await client`select 1 as one`)], [{ one: 1 }])
  await client.end()
})

waiting('brings a schema up to date, but installs none', async () => {
  const empty = await createDatabase({ isEmpty: true })
  await using other = createBackground({ connection: empty.url })
  for (const job of ['some-key', '1']) {
    const { code, message } = await thrownBy(other.result(job))
    assert.is(code, 'MIGRATION')
    assert.match(message, /^Cannot wait for a job: kretes is not installed in /)
  }
  assert.is((await empty.sql`select to_regnamespace('kretes')::text as there`)[0]?.there, null)
  await other.migrate()
  await empty.sql`drop schema kretes cascade`
  assert.is((await thrownBy(other.result('1'))).code, 'JOB_GONE')
  assert.is((await empty.sql`select to_regclass('kretes.ledger')::text as there`)[0]?.there, 'kretes.ledger')
})

waiting('is not begun where the database is away', async () => {
  await using other = createBackground({ connection: 'postgres://nobody@127.0.0.1:1/none' })
  const error = await thrownBy(other.result('1'))
  assert.is(error.code, 'DATABASE_UNAVAILABLE')
  assert.match(error.message, /^Cannot wait for a result: nothing listens at /)
})

waiting('works without named statements and in a schema of another name', async () => {
  const schema = 'Other "Engine"'
  await using other = createBackground({ connection: database.url, prepare: false, schema })
  await using _worker = await work(database, { tasks: { Give }, schema, prepare: false })
  const job = await other.schedule({ task: Give, payload: { value: 'there' } })
  assert.is(await job.result(), 'there')
})

waiting('forgets those who have died', async () => {
  await sql`insert into kretes.waiters values (1, 'dead', now() - interval '1 second')`
  const job = await background.schedule({ task: Give, payload: { value: 1 } })
  await job.result()
  await until(async () => (await sql`select from kretes.waiters where listener = 'dead'`).length === 0)
})

scheduled('is but the job to whoever prints, compares or copies it', async () => {
  const job = await background.schedule({ task: 'Later', delay: '1h', key: 'plain' })
  const keys = ['id', 'task', 'queue', 'priority', 'runAt', 'attempts', 'maxAttempts', 'key', 'scheduledAt']
  keys.push('schedule', 'occurrence')
  assert.equal(Object.keys(job), keys)
  assert.equal(Object.keys(JSON.parse(JSON.stringify(job))), keys)
  const plain = { ...job }
  assert.equal(plain, job)
  assert.equal(structuredClone(job), plain)
  assert.ok(isDeepStrictEqual(structuredClone(job), plain))
  assert.not('result' in plain)
  await background.unschedule(job)
})

/** A Background that is closed when the tests are over. */
function open(options: { logger?: ReturnType<typeof createRecorder> } = {}): BackgroundClient {
  const opened = createBackground({ connection: database.url, ...options })
  onceDone(() => opened.close())
  return opened
}

async function thrownBy(work: Promise<unknown>): Promise<Thrown> {
  return await work.then(
    value => assert.unreachable(`it resolved with ${JSON.stringify(value)}`) as never,
    error => error
  )
}

/** The server's processes of connections that wait for results. */
async function listeners(): Promise<number[]> {
  const rows = await sql<{ pid: number }[]>`
    select pid from pg_stat_activity
    where datname = current_database() and application_name = 'kretes results'`
  return rows.map(({ pid }) => pid)
}
