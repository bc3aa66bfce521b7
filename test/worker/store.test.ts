import { poolOf } from '../../src/database/connections/pool.ts'
import { silentLogger } from '../../src/logger.ts'
import type { Execute, Statement } from '../../src/sql/statement.ts'
import { createClaims } from '../../src/worker/claiming/claims.ts'
import { createFetchPolicy } from '../../src/worker/claiming/fetch-policy.ts'
import { createLanes } from '../../src/worker/claiming/limits/lanes.ts'
import { createStarts } from '../../src/worker/claiming/limits/starts.ts'
import { createSequences } from '../../src/worker/claiming/sequences.ts'
import { createSettlement } from '../../src/worker/claiming/settle.ts'
import { createJobStore, type JobStoreOptions } from '../../src/worker/claiming/store.ts'
import type { JobStore } from '../../src/worker/engine/store.ts'
import { resolveOptions } from '../../src/worker/options.ts'
import { createOutage } from '../../src/worker/outage.ts'
import { choiceOf } from '../helpers/choice.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { fill } from './work.ts'

const test = suite('the store of jobs')

test('tells of a fetch whose answer was lost, since the database may have locked jobs for it', async () => {
  const database = await createDatabase()
  await fill(database, 'Count', 3)
  const pool = poolOf(database.sql)
  let isFirst = true
  const execute: Execute = async <Row>(statement: Statement) => {
    const rows = await pool.execute<Row>(statement)
    if (!isFirst) return rows
    isFirst = false
    throw Object.assign(new Error('the connection broke'), { code: 'ECONNRESET' })
  }
  let lost = 0
  const store = createStore({ execute, onFetchLost: () => void lost++ })
  assert.equal(await store.claim(), [])
  assert.is(lost, 1)
  assert.is((await database.sql`select from graphile_worker.jobs where locked_by = 'me'`).length, 3)
})

test('ends a job that the engine has failed without running it, with the reason of the engine', async () => {
  const database = await createDatabase()
  await fill(database, 'Count', 1)
  const refused: unknown[] = []
  const store = createStore({
    execute: poolOf(database.sql).execute,
    refuse: async ({ job }, { message }) => void refused.push([job.task, message])
  })
  const [job] = await store.claim()
  await store.settle([{ id: String(job?.id), error: 'no such task' }])
  assert.equal(refused, [['Count', 'no such task']])
})

const nothing = async (): Promise<void> => {}

test('gives back the jobs that were fetched with one that the engine has failed, and keeps their queue until then', async () => {
  const database = await createDatabase()
  await fill(database, 'Count', 3, { queue: 'one' })
  const store = createStore({ execute: poolOf(database.sql).execute })
  const [first, ...others] = await store.claim()
  assert.equal(others, [])
  await store.settle([{ id: String(first?.id), error: 'no such task' }])
  const locked = await database.sql`select id from graphile_worker.jobs where locked_at is not null`
  assert.equal(
    locked.map(({ id }) => id),
    [first?.id]
  )
  const queues = await database.sql`select from graphile_worker._private_job_queues where locked_at is not null`
  assert.is(queues.length, 1)
})

test('gives back all jobs of a queue that were fetched together, and the queue', async () => {
  const database = await createDatabase()
  await fill(database, 'Count', 3, { queue: 'one' })
  const store = createStore({ execute: poolOf(database.sql).execute })
  const [first] = await store.claim()
  assert.is((await database.sql`select from graphile_worker.jobs where locked_at is not null`).length, 3)
  await store.giveBack([String(first?.id)])
  assert.is((await database.sql`select from graphile_worker.jobs where locked_at is not null`).length, 0)
  assert.is((await database.sql`select from graphile_worker._private_job_queues where locked_at is not null`).length, 0)
})

function createStore(given: Pick<JobStoreOptions, 'execute'> & Partial<JobStoreOptions>): JobStore {
  const { signal } = new AbortController()
  const engine = { id: 'me', isHungry: true, wake() {} }
  const options = resolveOptions({})
  const policy = createFetchPolicy({
    options,
    engine,
    wakeOthers() {},
    look: async () => [],
    onDue() {},
    logger: silentLogger
  })
  onceDone(() => policy.stop())
  const choice = choiceOf('Count')
  const claims = createClaims()
  const lanes = createLanes({
    execute: given.execute,
    schema: 'graphile_worker',
    engine,
    choice,
    claims,
    most: new Map(),
    pollIntervalMs: 1_000,
    file: async () => {},
    insist: work => work(),
    limitsOf: () => [],
    weightOf: () => 1,
    onReady() {},
    onFreed() {}
  })
  return createJobStore({
    schema: 'graphile_worker',
    kept: undefined,
    engine,
    concurrency: 1,
    localQueueSize: 5,
    choice,
    claims,
    lanes,
    starts: createStarts({ execute: given.execute, schema: 'graphile_worker', engine, insist: work => work() }),
    policy,
    sequences: createSequences({
      giveBackAfterMs: 500,
      perform: nothing,
      settle: nothing,
      giveBack: nothing,
      mayBegin: () => true,
      draining: signal
    }),
    settlement: createSettlement({ mend: async () => {}, strip: () => undefined, logger: silentLogger, signal }),
    outage: createOutage(silentLogger, 'the database'),
    draining: signal,
    closing: signal,
    beforeFetch: async () => {},
    onFetched() {},
    onFetchLost() {},
    onSettled() {},
    refuse: async () => {},
    ...given
  })
}
