import { inspect } from 'node:util'
import { createBackground } from '../../src/background.ts'
import { compileBackoff } from '../../src/backoff.ts'
import { type Logger, silentLogger } from '../../src/logger.ts'
import type { AnyTask } from '../../src/task.ts'
import { createExecutor } from '../../src/worker/execute.ts'
import { writeFailures } from '../../src/worker/failures.ts'
import { createHeldJobs, type HeldJobs } from '../../src/worker/held.ts'
import { createOutage } from '../../src/worker/outage/outage.ts'
import { EnginePool } from '../../src/worker/pool.ts'
import type { EnginePoolOptions } from '../../src/worker/pool-options.ts'
import { type Runner, startRunner } from '../../src/worker/runner.ts'
import { classify, type Settled } from '../../src/worker/settled.ts'
import { createWatch } from '../../src/worker/watch.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createRecorder, fill, lookingForLocks } from './work.ts'

const test = suite("the engine's statements")

/** What the engine sends, each by its name, seen on the way to the database. */
class WatchedPool extends EnginePool {
  readonly names: Set<string> = new Set()
  readonly texts: Map<string, string> = new Map()

  constructor(options: EnginePoolOptions) {
    super(options)
    this.on('connect', client => {
      const query = client.query.bind(client) as (...parameters: unknown[]) => never
      client.query = (...parameters: unknown[]) => {
        const { name, text = '' } = parameters[0] as { name?: string; text?: string }
        if (name) this.names.add(name)
        if (name) this.texts.set(name, text.replaceAll(/\s+/g, ' '))
        return query(...parameters)
      }
    })
  }
}

interface Engine {
  readonly pool: WatchedPool
  readonly runner: Runner
  readonly held: HeldJobs
  readonly settled: Settled[]
  /** How many jobs each fetch brought. */
  readonly fetched: number[]
}

test('have the names by which they are told apart, and account for every job that is held', async () => {
  const database = await prepared()
  await fill(database, 'Fine', 20)
  await fill(database, 'Fine', 20, { queues: 4 })
  await fill(database, 'Fail', 2)
  await fill(database, 'Fail', 2, { queue: 'failing' })
  const { pool, runner, held, settled } = await startOn(database, {
    Fine: () => {},
    Fail: () => {
      throw new Error('it fails')
    }
  })
  const left = async () => (await database.sql`select from graphile_worker.jobs where attempts = 0`).length
  await until(async () => (await left()) === 0 && held.size === 0)

  // One that completes alone, without others to complete it with.
  await fill(database, 'Fine', 1)
  await until(() => pool.names.has('complete_job/graphile_worker'))
  await until(() => held.size === 0)

  const expected: Record<string, ReturnType<typeof classify>> = {
    'get_job20/graphile_worker': { kind: 'fetch', releasesQueues: false },
    'clear_stale_locks/graphile_worker': { kind: 'unlock', releasesQueues: false },
    'complete_job/graphile_worker': { kind: 'complete', releasesQueues: false },
    'complete_jobs/graphile_worker': { kind: 'complete', releasesQueues: false },
    'complete_job_q/graphile_worker': { kind: 'complete', releasesQueues: true },
    'fail_job/graphile_worker': { kind: 'fail', releasesQueues: false },
    'fail_job_q/graphile_worker': { kind: 'fail', releasesQueues: true }
  }
  await until(() => settled.some(({ kind }) => kind === 'unlock'))
  assert.equal([...pool.names].sort(), Object.keys(expected).sort())
  for (const name of pool.names) assert.equal(classify(name), expected[name], name)
  for (const [name, text] of Object.entries(REPLACED)) assert.is(pool.texts.get(`${name}/graphile_worker`), text)
  for (const kind of ['fetch', 'complete', 'fail']) assert.ok(settled.some(statement => statement.kind === kind))
  await runner.stop()
})

/** What `claimJobs`, `unlockAbandoned` and `completeJobs` in src/sql do in their place. */
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

test('that give jobs back have theirs, and take the jobs off what is held', async () => {
  const database = await prepared()
  await fill(database, 'Wait', 5)
  await fill(database, 'Wait', 2, { queues: 2 })
  const gate = Promise.withResolvers<void>()
  const { pool, runner, held } = await startOn(database, { Wait: () => gate.promise }, { concurrency: 1 })
  await until(() => held.size === 7)
  const rows = await database.sql`select id from graphile_worker.jobs order by id`
  assert.equal(
    held.ids().toSorted(),
    rows.map(({ id }) => id)
  )
  const stopping = runner.stop()
  await until(() => held.size === 1)
  gate.resolve()
  await stopping
  assert.is(held.size, 0)
  assert.equal(classify('return_job/graphile_worker'), { kind: 'return', releasesQueues: false })
  assert.equal(classify('return_job_q/graphile_worker'), { kind: 'return', releasesQueues: true })
  const names = [...pool.names].filter(name => name.startsWith('return'))
  assert.equal(names.sort(), ['return_job/graphile_worker', 'return_job_q/graphile_worker'])
})

test('fetch as many as they were last told to', async () => {
  const database = await prepared()
  const { pool, runner, fetched } = await startOn(database, { Fine: () => {} })
  await until(() => fetched.length > 0)
  runner.resizeBatch(33)
  await fill(database, 'Fine', 100)
  await until(() => fetched.includes(33))
  assert.ok(pool.names.has('get_job33/graphile_worker'))
  await runner.stop()
})

test('that cannot be carried out are logged with the jobs they are about, and nothing of what these were given', async () => {
  const database = await prepared()
  const { sql } = database
  const logger = createRecorder()
  const gate = Promise.withResolvers<void>()
  let running = 0
  const wait = async (): Promise<void> => {
    running++
    await gate.promise
  }
  const Fail = async (): Promise<void> => {
    await wait()
    throw new Error('it fails')
  }
  const { pool, runner } = await startOn(database, { Wait: wait, Fail }, { logger })
  for (const task of ['Wait', 'Fail']) await sql`select graphile_worker.add_job(${task}, '{"password": "hunter2"}')`
  await until(() => running === 2)
  await sql`create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not today'; end $$`
  await sql`
    create trigger refuse before update or delete on graphile_worker._private_jobs
    for each statement execute function refuse()`
  gate.resolve()
  // Each says for itself that it tries again.
  await until(() => logger.of('worker.blocked').length === 2)
  pool.giveUp()
  await runner.ended

  const rows = await sql`select id from graphile_worker.jobs order by id`
  for (const [doing, id] of [
    ['complete', rows[0]?.id],
    ['fail', rows[1]?.id]
  ]) {
    const line = logger.lines.find(({ message }) => message.startsWith(`Failed to ${doing} jobs`))
    assert.is(line?.level, 'warn')
    assert.equal(line?.fields.jobs, [id])
    assert.match(String(line?.fields.error), /not today/)
  }
  for (const line of logger.lines) assert.not.match(inspect(line, { depth: 10 }), /hunter2/)
})

test('that fail all jobs at hand when the engine is forced to stop are accounted for too', () => {
  const held = createHeldJobs()
  for (const id of ['1', '2', '3']) held.add(id)
  const { kind, releasesQueues } = classify('fail_jobs/graphile_worker')
  held.settle({ kind, releasesQueues, values: [['1', '3'], 'Forced worker shutdown', 'pool-1'] })
  assert.equal(held.ids(), ['2'])
})

test('that fetch are known for it, whatever number and flags are in their names', () => {
  for (const size of ['', '2', '500', '12.5', '62.5', '1e21']) {
    for (const flags of ['', 'F', 'N', 'FN']) {
      const name = `get_job${size}${flags}/graphile_worker`
      assert.equal(classify(name), { kind: 'fetch', releasesQueues: false }, name)
    }
  }
})

test('of other kinds are nobody’s business', () => {
  for (const name of [undefined, '', 'get_queue_names/x', 'add_job/x']) {
    assert.equal(classify(name), { kind: 'other', releasesQueues: false })
  }
})

async function prepared(): Promise<TestDatabase> {
  const database = await createDatabase()
  await using background = createBackground({ connection: database.url })
  await background.migrate()
  return database
}

async function startOn(
  { url }: TestDatabase,
  tasks: Record<string, AnyTask>,
  { concurrency = 10, logger = silentLogger }: { concurrency?: number; logger?: Logger } = {}
): Promise<Engine> {
  const held = createHeldJobs()
  const settled: Settled[] = []
  const fetched: number[] = []
  const watch = createWatch({ findWorking: async () => [], logger: silentLogger })
  const executor = createExecutor({ logger: silentLogger, backoff: compileBackoff('exponential', 'test') })
  const pool: WatchedPool = new WatchedPool({
    url,
    max: concurrency + 2,
    prepare: true,
    outage: createOutage(silentLogger, 'the database'),
    watch,
    onHung() {},
    logger,
    fail(statement, execute) {
      if (statement.name) pool.names.add(statement.name)
      return writeFailures(execute, 'graphile_worker', statement, executor.outcomes)
    },
    onSettled(statement) {
      settled.push(statement)
      held.settle(statement)
    },
    beforeFetch: async () => {},
    onFetchLost() {}
  })
  const runner = await lookingForLocks(() =>
    startRunner({
      pool,
      schema: 'graphile_worker',
      tasks: new Map(Object.entries(tasks)),
      run: executor.execute,
      concurrency,
      localQueueSize: 20,
      localQueueTtlMs: 60_000,
      pollIntervalMs: 50,
      logger,
      onFetched(jobs) {
        fetched.push(jobs.length)
        for (const { id } of jobs) held.add(id)
      },
      onScheduled() {},
      onListening() {},
      onListeningLost() {},
      onCancelled() {},
      onMigrated() {}
    })
  )
  onceDone(async () => {
    pool.giveUp()
    await runner.stop()
    watch.stop()
    await pool.end()
  })
  return { pool, runner, held, settled, fetched }
}
