import { inspect } from 'node:util'
import { Logger as EngineLogger, run } from 'graphile-worker'
import type pg from 'pg'
import { createBackground } from '../../src/background.ts'
import { silentLogger } from '../../src/logger.ts'
import { type ClaimedJob, claimJobs } from '../../src/sql/worker/claim.ts'
import { type Connections, openConnections } from '../../src/worker/engine/connections.ts'
import { createEngine, type Engine } from '../../src/worker/engine/engine.ts'
import { createEnginePool } from '../../src/worker/engine/pool.ts'
import { type EngineRequest, type EngineStatement, recognizeStatement } from '../../src/worker/engine/statements.ts'
import type { JobStore } from '../../src/worker/engine/store.ts'
import { createOutage } from '../../src/worker/outage.ts'
import { choiceOf } from '../helpers/choice.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createRecorder, fill, lookingForLocks, work } from './work.ts'

const test = suite("the engine's requests")

test('are answered by the store, each by the name of its statement', async () => {
  const database = await prepared()
  await fill(database, 'Fine', 20)
  await fill(database, 'Fine', 20, { queues: 4 })
  const { engine, asked, left } = await startOn(database, () => {})
  const jobs = async () => (await database.sql`select from graphile_worker.jobs`).length
  await until(async () => (await jobs()) === 0 && asked.some(({ kind }) => kind === 'unlock stale'))
  // One that completes alone, without others to complete it with.
  await fill(database, 'Fine', 1)
  await until(() => asked.some(request => request.kind === 'settle' && request.jobs.length === 1))
  await until(async () => (await jobs()) === 0)
  await engine.stop()
  assert.is(left.size, 0)
  assert.equal([...new Set(asked.map(({ kind }) => kind))].toSorted(), ['claim', 'settle', 'unlock stale'])
})

test('tell of jobs that have waited in vain', async () => {
  const database = await prepared()
  await fill(database, 'Wait', 5)
  await fill(database, 'Wait', 2, { queues: 2 })
  const gate = Promise.withResolvers<void>()
  const { engine, asked, left } = await startOn(database, () => gate.promise, { concurrency: 1 })
  await until(() => left.size === 7)
  const stopping = engine.stop()
  const givenBack = (): string[] => asked.flatMap(request => (request.kind === 'give back' ? request.ids : []))
  await until(() => givenBack().length === 6)
  gate.resolve()
  await stopping
  assert.equal(new Set(givenBack()).size, 6)
  assert.is(left.size, 0)
})

test('tell of jobs for which it finds no task, with its own words', async () => {
  const database = await prepared()
  await fill(database, 'Fine', 1)
  const { engine, asked } = await startOn(database, () => {}, { rename: 'Unheard of' })
  await until(() => asked.some(({ kind }) => kind === 'settle'))
  await engine.stop()
  const [failed] = asked.flatMap(request => (request.kind === 'settle' ? request.jobs : []))
  assert.match(failed?.error ?? '', /Unsupported task 'Unheard of'/)
})

test('are known by names that begin so, whatever number and flags follow', () => {
  for (const size of ['', '2', '500', '12.5', '62.5', '1e21']) {
    for (const flags of ['', 'F', 'N', 'FN']) {
      const name = `get_job${size}${flags}/graphile_worker`
      assert.equal(recognizeStatement({ text: '', name }), { kind: 'claim' }, name)
    }
  }
})

const NAMED: readonly [name: string, values: readonly unknown[], request: EngineRequest][] = [
  ['complete_job', ['1'], { kind: 'settle', jobs: [{ id: '1' }] }],
  ['complete_jobs', [['1', '2']], { kind: 'settle', jobs: [{ id: '1' }, { id: '2' }] }],
  ['complete_job_q', [['1'], 'me'], { kind: 'settle', jobs: [{ id: '1' }] }],
  ['fail_job', ['me', '[{"jobId":"1","message":"no"}]'], { kind: 'settle', jobs: [{ id: '1', error: 'no' }] }],
  ['fail_job_q', ['me', '[{"jobId":"1","message":"no"}]'], { kind: 'settle', jobs: [{ id: '1', error: 'no' }] }],
  ['return_job', ['me', ['1']], { kind: 'give back', ids: ['1'] }],
  ['return_job_q', ['me', ['1']], { kind: 'give back', ids: ['1'] }],
  ['clear_stale_locks', [], { kind: 'unlock stale' }],
  ['fail_jobs', [['1', '3'], 'Forced worker shutdown', 'me'], { kind: 'abandon' }],
  ['get_queue_names', [], { kind: 'other' }]
]

for (const [name, values, request] of NAMED) {
  test(`of the name ${name} are read so in any schema`, () => {
    for (const schema of ['graphile_worker', 'other/one']) {
      assert.equal(recognizeStatement({ text: '', values, name: `${name}/${schema}` }), request)
    }
  })
}

test('of no name are carried out', () => {
  for (const name of [undefined, '', 'add_job/x'])
    assert.equal(recognizeStatement({ text: '', name }), { kind: 'other' })
})

test('have the statements in whose place ours were written', async () => {
  const database = await prepared()
  await fill(database, 'Fine', 20)
  await fill(database, 'Fine', 20, { queues: 4 })
  const { pool, texts } = watched(createStore(database))
  const runner = await lookingForLocks(() =>
    run({
      pgPool: pool,
      taskList: { Fine: () => {} },
      parsedCronItems: [],
      noHandleSignals: true,
      pollInterval: 50,
      concurrency: 10,
      logger: new EngineLogger(() => () => {}),
      preset: { worker: { localQueue: { size: 20 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } }
    })
  )
  onceDone(() => runner.stop().catch(() => {}))
  const seen = (name: string): Promise<unknown> => until(() => texts.has(name))
  for (const name of ['complete_jobs', 'complete_job_q', 'clear_stale_locks']) await seen(name)
  await fill(database, 'Fine', 1)
  await seen('complete_job')
  for (const [name, text] of Object.entries(REPLACED)) assert.is(texts.get(name), text)
})

/** The engine's statements in whose place `claimJobs`, `unlockStale` and `completeJobs` in src/sql stand. */
const REPLACED = {
  get_job20:
    'with j_raw as ( select jobs.job_queue_id, jobs.priority, jobs.run_at, jobs.id from "graphile_worker"._private_jobs as jobs where jobs.is_available = true and run_at <= now() and task_id = any($2::int[]) and ( jobs.job_queue_id is null or jobs.job_queue_id in ( select id from "graphile_worker"._private_job_queues as job_queues where job_queues.is_available = true for update skip locked ) ) order by priority asc, run_at asc limit 20 for update skip locked ), j as ( select distinct on (job_queue_id, case when job_queue_id is null then id end) job_queue_id, priority, run_at, id from j_raw order by job_queue_id, case when job_queue_id is null then id end, priority asc, run_at asc ), q as ( update "graphile_worker"._private_job_queues as job_queues set locked_by = $1::text, locked_at = now() from j where job_queues.id = j.job_queue_id ) update "graphile_worker"._private_jobs as jobs set attempts = jobs.attempts + 1, locked_by = $1::text, locked_at = now() from j where jobs.id = j.id returning *',
  clear_stale_locks:
    'with j as ( update "graphile_worker"._private_jobs as jobs set locked_at = null, locked_by = null, run_at = greatest(run_at, now()) where locked_at < now() - interval \'4 hours\' ) update "graphile_worker"._private_job_queues as job_queues set locked_at = null, locked_by = null where locked_at < now() - interval \'4 hours\'',
  complete_job: 'delete from "graphile_worker"._private_jobs as jobs where id = $1::bigint',
  complete_jobs: 'delete from "graphile_worker"._private_jobs as jobs using unnest($1::bigint[]) n(n) where id = n',
  complete_job_q:
    'with j as ( delete from "graphile_worker"._private_jobs as jobs using unnest($1::bigint[]) n(n) where id = n returning * ) update "graphile_worker"._private_job_queues as job_queues set locked_by = null, locked_at = null from j where job_queues.id = j.job_queue_id and job_queues.locked_by = $2::text;'
}

test('that cannot be answered are logged with the jobs they are about, and nothing of their payloads', async () => {
  const database = await prepared()
  const { sql } = database
  const logger = createRecorder()
  const gate = Promise.withResolvers<void>()
  const worker = await work(database, { tasks: { Wait: () => gate.promise }, logger })
  await sql`select graphile_worker.add_job('Wait', '{"password": "hunter2"}')`
  await until(() => worker.running === 1)
  await sql`create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not today'; end $$`
  await sql`
    create trigger refuse before update or delete on graphile_worker._private_jobs
    for each statement execute function refuse()`
  gate.resolve()
  await until(() => logger.of('worker.blocked').length === 1)
  await worker.stop({ timeout: 0 })
  const [{ id } = {}] = await sql`select id from graphile_worker.jobs`
  const line = logger.lines.find(({ message }) => message.startsWith('Failed to complete jobs'))
  assert.is(line?.level, 'warn')
  assert.equal(line?.fields.jobs, [id])
  assert.match(String(line?.fields.error), /not today/)
  for (const line of logger.lines) assert.not.match(inspect(line, { depth: 10 }), /hunter2/)
})

test('leave no line of the engine for a run, which to it succeeds each time', async () => {
  const database = await prepared()
  const logger = createRecorder()
  const tasks = {
    Fail() {
      throw new Error('as it should')
    }
  }
  const worker = await work(database, { tasks, logger })
  await fill(database, 'Fail', 1)
  await until(() => logger.of('job.retry').length + logger.of('job.failed').length > 0)
  await worker.stop()
  const lines = logger.of('engine').map(({ message }) => message)
  assert.equal(
    lines.filter(message => /^(Completed|Failed) task/.test(message)),
    []
  )
})

async function prepared(): Promise<TestDatabase> {
  const database = await createDatabase()
  await using background = createBackground({ connection: database.url })
  await background.migrate()
  return database
}

/** A store that does as it is asked, and no more. */
interface WatchedStore {
  readonly connections: Connections
  readonly store: JobStore
  readonly asked: EngineRequest[]
  /** The jobs that were claimed, and neither settled nor given back. */
  readonly left: ReadonlySet<string>
}

function createStore({ url, sql }: TestDatabase, rename?: string): WatchedStore {
  const asked: EngineRequest[] = []
  const left = new Set<string>()
  const probe = (): never => {
    throw new Error('No connection hangs')
  }
  const connections = openConnections({ url, max: 12, prepare: true, logger: silentLogger, probe, onHung() {} })
  onceDone(() => connections.close())
  const claim = claimJobs('graphile_worker', { worker: 'me', choice: choiceOf('Fine', 'Wait'), size: 20 })
  const store: JobStore = {
    async claim() {
      const rows = await connections.execute<ClaimedJob>(claim)
      const jobs = rows.filter(({ id }) => id !== null)
      for (const { id } of jobs) left.add(id)
      asked.push({ kind: 'claim' })
      return rename ? jobs.map(job => ({ ...job, task_name: rename })) : jobs
    },
    async settle(jobs) {
      const ids = jobs.map(({ id }) => id)
      await sql`
        with gone as (delete from graphile_worker._private_jobs where id in ${sql(ids)} returning job_queue_id)
        update graphile_worker._private_job_queues queue set locked_at = null, locked_by = null
        from gone where queue.id = gone.job_queue_id`
      for (const id of ids) left.delete(id)
      asked.push({ kind: 'settle', jobs })
    },
    async giveBack(ids) {
      for (const id of ids) left.delete(id)
      asked.push({ kind: 'give back', ids })
    },
    async unlockStale() {
      asked.push({ kind: 'unlock stale' })
    }
  }
  return { connections, store, asked, left }
}

interface Started extends WatchedStore {
  readonly engine: Engine
}

async function startOn(
  database: TestDatabase,
  task: () => unknown,
  { concurrency = 10, rename }: { readonly concurrency?: number; readonly rename?: string } = {}
): Promise<Started> {
  const watched = createStore(database, rename)
  const engine = createEngine({
    schema: 'graphile_worker',
    tasks: ['Fine', 'Wait'],
    concurrency,
    batchSize: 20,
    giveBackAfterMs: 60_000,
    pollIntervalMs: 50,
    logger: silentLogger
  })
  const surroundings = {
    ...watched,
    outage: createOutage(silentLogger, 'the database'),
    signal: new AbortController().signal,
    run: async () => void (await task()),
    onScheduled() {},
    onListening() {},
    onListeningLost() {},
    onCancelled() {},
    onRecurring() {},
    onLimits() {},
    onMigrated() {}
  }
  await lookingForLocks(() => engine.start(surroundings))
  onceDone(() => engine.stop())
  return { ...watched, engine }
}

/** The engine's pool, and the texts of the statements that it is given, by their names. */
function watched({ connections, store }: WatchedStore): { pool: pg.Pool; texts: Map<string, string> } {
  const outage = createOutage(silentLogger, 'the database')
  const pool = createEnginePool({ connections, store, outage, signal: new AbortController().signal })
  const texts = new Map<string, string>()
  const connect = pool.connect.bind(pool)
  const watching = async (): Promise<unknown> => {
    const client = await connect()
    return {
      release: () => client.release(),
      query(statement: EngineStatement, values: unknown[]) {
        if (statement.name) texts.set(statement.name.replace(/\/.*/, ''), statement.text.replaceAll(/\s+/g, ' '))
        return client.query(statement as pg.QueryConfig, values)
      }
    }
  }
  Object.assign(pool, { connect: (callback?: never) => (callback ? connect(callback) : watching()) })
  return { pool, texts }
}
