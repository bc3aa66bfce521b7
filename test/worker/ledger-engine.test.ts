import { createBackground, Queue } from '../../mod.ts'
import { poolOf } from '../../src/database/connections/pool.ts'
import { rescueJobs } from '../../src/sql/worker/rescue.ts'
import { defineTask } from '../../src/task.ts'
import { onceDone } from '../helpers/cleanup.ts'
import type { TestDatabase } from '../helpers/database.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { countJobs, createRecorder, fill, work } from './work.ts'

const test = suite('the ledger and what the engine does by itself')

test('records a job that could not begin as a run that failed, each attempt once, and counts it', async () => {
  const { database, background } = await prepare()
  const { sql } = database
  // A suspect runs only once it is marked.
  await sql`
    create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no marks today'; end $$`
  await sql`
    create trigger refuse before update on graphile_worker._private_jobs
    for each row when (new.flags ? 'kretes:started') execute function refuse()`
  const { id } = await background.schedule({ task: 'Suspect', maxAttempts: 2, payload: { n: 1 } })
  await sql`update graphile_worker._private_jobs set flags = '{"kretes:lost": 1}' where id = ${id}`
  let begun = 0
  const mourned: string[] = []
  const log = createRecorder()
  const Suspect = defineTask({
    name: 'Suspect',
    backoff: { type: 'fixed', delay: 0 },
    run: () => void begun++,
    onFailure: error => void mourned.push(String(error))
  })
  await using _worker = await work(database, { tasks: { Suspect }, logger: log, ledger: { keepPayloads: true } })
  await until(async () => (await background.status()).totals.failed === 1)
  const reason = `Cannot begin Suspect ${id}: no marks today`
  const runs = await runsOf(database, id)
  assert.equal(
    runs.map(({ state, attempt, started_at, error_message, payload }) => [
      state,
      attempt,
      started_at,
      error_message,
      payload
    ]),
    [1, 2].map(attempt => ['failed', attempt, null, reason, { n: 1 }])
  )
  const { cause } = (runs[0]?.error ?? {}) as { cause?: { message: string } }
  assert.is(cause?.message, 'no marks today')
  assert.equal(await countersOf(database, 'Suspect'), [{ state: 'failed', runs: 2 }])
  assert.equal([begun, mourned], [0, [`Error: ${reason}`]])
  assert.equal(
    log.of('job.failed').map(({ fields }) => fields.isLast),
    [false, true]
  )
})

test('runs a job once whose queue could not be told for a while', async () => {
  const { database, background } = await prepare()
  const { sql } = database
  await sql`alter table graphile_worker._private_job_queues rename column queue_name to hidden`
  const { id } = await sql.begin(async transaction => {
    await transaction`alter table graphile_worker._private_job_queues rename column hidden to queue_name`
    const job = await background.with(transaction).schedule({ task: 'Note', queue: Queue.for('one') })
    await transaction`alter table graphile_worker._private_job_queues rename column queue_name to hidden`
    return job
  })
  const log = createRecorder()
  await using _worker = await work(database, { tasks: { Note: () => {} }, logger: log, pollInterval: 100 })
  await until(() => log.lines.some(line => JSON.stringify(line.message).includes('queue_name')))
  await sql`alter table graphile_worker._private_job_queues rename column hidden to queue_name`
  await until(async () => (await runsOf(database, id)).length > 0)
  const [run, ...others] = await runsOf(database, id)
  assert.equal([run?.state, run?.queue, run?.attempt, others.length], ['succeeded', 'one', 1, 0])
  assert.equal(await countersOf(database, 'Note'), [{ state: 'succeeded', runs: 1 }])
  const [queue] = await sql`select locked_by from graphile_worker._private_job_queues`
  assert.is(queue?.locked_by, null)
})

test('records jobs once that were fetched, given back unbegun, and fetched again', async () => {
  const { database } = await prepare()
  const gate = Promise.withResolvers<void>()
  await using worker = await work(database, {
    tasks: { Wait: () => gate.promise },
    concurrency: 1,
    localQueueTtl: 20
  })
  await fill(database, 'Wait', 5)
  await until(() => worker.running === 1)
  const held = async (): Promise<number> =>
    (await database.sql`select from graphile_worker._private_jobs where locked_at is not null`).length
  await until(async () => (await held()) === 1)
  gate.resolve()
  await until(async () => (await countJobs(database)) === 0)
  const runs = await database.sql`select distinct job_id, state, attempt from kretes.runs`
  assert.equal([...new Set(runs.map(({ state, attempt }) => `${state} ${attempt}`))], ['succeeded 1'])
  assert.equal([runs.length, await countersOf(database, 'Wait')], [5, [{ state: 'succeeded', runs: 5 }]])
})

test('takes a list for a payload like any other, and what its task returns for a result', async () => {
  const { database } = await prepare()
  await using _worker = await work(database, { tasks: { Batch: () => [1, { failed: true }] } })
  const [job] = await database.sql`select id from graphile_worker.add_job('Batch', '[{"n": 1}, {"n": 2}]'::json)`
  await until(async () => (await countJobs(database)) === 0)
  const runs = await runsOf(database, job?.id)
  assert.equal(
    runs.map(({ state, result }) => [state, result]),
    [['succeeded', [1, { failed: true }]]]
  )
})

test('runs a job whose payload is too deep to be kept', async () => {
  const { database } = await prepare()
  const log = createRecorder()
  await using _worker = await work(database, { tasks: { Deep: () => 1 }, logger: log, ledger: { keepPayloads: true } })
  const [job] = await database.sql`
    select id from graphile_worker.add_job('Deep', ('{"a": ' || repeat('[', 8000) || repeat(']', 8000) || '}')::json)`
  await until(async () => (await runsOf(database, job?.id)).length > 0)
  const [run] = await runsOf(database, job?.id)
  assert.equal([run?.state, run?.attempt, run?.payload], ['succeeded', 1, null])
  assert.is(log.of('ledger.payload').length, 1)
})

test('records a run once that takes longer than the engine expects: nobody else gets the job', async () => {
  const { database, background } = await prepare()
  const { sql } = database
  const gate = Promise.withResolvers<void>()
  let runs = 0
  const Long = (): Promise<void> => {
    runs++
    return gate.promise
  }
  await using worker = await work(database, { tasks: { Long } })
  const { id } = await background.schedule({ task: 'Long', queue: Queue.for('long') })
  await until(() => worker.running === 1)
  const [foreign] = await sql`select id from graphile_worker.add_job('Nobody', queue_name => 'foreign')`
  await sql`
    update graphile_worker._private_jobs
    set locked_at = now() - interval '5 hours', locked_by = coalesce(locked_by, 'a pool of somebody else')`
  await sql`
    update graphile_worker._private_job_queues
    set locked_at = now() - interval '5 hours', locked_by = coalesce(locked_by, 'a pool of somebody else')`
  await using _other = await withoutChance(() => work(database, { tasks: { Long } }))
  const isLocked = async (job: string): Promise<unknown[]> => [
    ...(await sql`
      select jobs.locked_at is not null as job, queues.locked_at is not null as queue
      from graphile_worker._private_jobs jobs
      join graphile_worker._private_job_queues queues on queues.id = job_queue_id where jobs.id = ${job}`)
  ]
  // The engine looks for such jobs at a random time in a worker's first minute.
  await until(async () => JSON.stringify(await isLocked(foreign?.id)) === '[{"job":false,"queue":false}]')
  assert.equal(await isLocked(id), [{ job: true, queue: true }])
  gate.resolve()
  await until(async () => (await runsOf(database, id)).length > 0)
  const [run, ...others] = await runsOf(database, id)
  assert.equal([run?.state, run?.attempt, others.length, runs], ['succeeded', 1, 0, 1])
})

test('gives the jobs of a lost worker to others though there is no room to record that', async () => {
  const { database, background } = await prepare()
  const { sql } = database
  const { id } = await background.schedule({ task: 'Nobody' })
  await sql`update graphile_worker._private_jobs set locked_by = 'dead', locked_at = now(), attempts = 1`
  await sql`
    insert into kretes.workers (id, host, pid, concurrency, beat_at)
    values ('dead', 'gone', 1, 1, now() - interval '1 minute')`
  const partitions = await sql<{ name: string }[]>`
    select inhrelid::regclass::text as name from pg_inherits where inhparent = 'kretes.ledger'::regclass`
  for (const { name } of partitions) await sql.unsafe(`drop table ${name}`)
  const rescue = await rescueJobs(poolOf(sql), 'graphile_worker', 'dead', {
    staleAfterMs: 6_000,
    lostAfterMs: 6_000,
    maxLosses: 3
  })
  assert.equal(rescue, { rescued: 1, failed: [] })
  assert.equal(await runsOf(database, id), [])
  assert.equal(await countersOf(database, 'Nobody'), [{ state: 'lost', runs: 1 }])
})

type Row = Record<string, unknown>

async function prepare(): Promise<{ database: TestDatabase; background: ReturnType<typeof createBackground> }> {
  const database = await createDatabase()
  const background = createBackground({ connection: database.url })
  onceDone(() => background.close())
  await background.migrate()
  return { database, background }
}

async function runsOf({ sql }: TestDatabase, id: string): Promise<Row[]> {
  return [...(await sql<Row[]>`select * from kretes.runs where job_id = ${id} order by attempt, finished_at`)]
}

async function countersOf({ sql }: TestDatabase, task: string): Promise<Row[]> {
  const rows = await sql`
    select state, sum(runs)::int as runs from kretes.counters where task = ${task} group by 1 order by 1`
  return rows.map(row => ({ ...row }))
}

/** With a chance that always falls on the least. */
async function withoutChance<Result>(work: () => Promise<Result>): Promise<Result> {
  const { random } = Math
  Math.random = () => 0
  try {
    return await work()
  } finally {
    Math.random = random
  }
}
