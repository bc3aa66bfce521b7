import postgres from 'postgres'
import { createBackground } from '../../src/background.ts'
import { poolOf } from '../../src/database/connections/pool.ts'
import { executeIn } from '../../src/database/connections/session.ts'
import type { Connections } from '../../src/sql/statement.ts'
import { unregisterWorker } from '../../src/sql/worker/registration.ts'
import { markStarted, rescueJobs } from '../../src/sql/worker/rescue.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('the jobs of a lost worker')

const database = await createDatabase()
const { sql } = database
const connections = poolOf(sql)
const { execute } = connections
const schema = 'graphile_worker'
const limits = { staleAfterMs: 6_000, lostAfterMs: 6_000, maxLosses: 3 }
{
  await using background = createBackground({ connection: database.url })
  await background.migrate()
}

test.before.each(() => sql`truncate graphile_worker._private_jobs, graphile_worker._private_job_queues, kretes.workers`)

test('count a further loss if they were running, and none if they had run before and were only fetched again', async () => {
  const [running, ended, unmarked] = [await add(), await add(), await add()]
  await fetchAs('dead')
  // In another time zone, the mark is to be the same.
  const elsewhere = postgres(database.url, { max: 1, connection: { TimeZone: 'Asia/Tokyo' } })
  onceDone(() => elsewhere.end({ timeout: 1 }))
  const { execute: executeElsewhere } = poolOf(elsewhere)
  await markStarted(executeElsewhere, schema, ended, 'dead')
  // It fails, and is fetched by the same worker once more.
  await sql`update graphile_worker._private_jobs set locked_by = null, locked_at = null where id = ${ended}`
  await fetchAs('dead')
  await markStarted(executeElsewhere, schema, running, 'dead')
  await register('dead')
  assert.equal(await rescueJobs(connections, schema, 'dead', limits), { rescued: 3, failed: [] })
  assert.equal(await losses(), { [running]: 2, [ended]: 1, [unmarked]: 1 })
  const marked = await sql`select from graphile_worker._private_jobs where flags ? 'kretes:started'`
  assert.is(marked.length, 0)
})

test('are given up after as many losses as they may have', async () => {
  const id = await add()
  for (let loss = 2; loss <= 3; loss++) {
    await fetchAs('dead')
    await markStarted(execute, schema, id, 'dead')
    await register('dead')
    const rescue = await rescueJobs(connections, schema, 'dead', limits)
    assert.equal(rescue, loss < 3 ? { rescued: 1, failed: [] } : { rescued: 0, failed: [id] })
  }
})

test('are given to others whatever flags SQL has put on them, which count as no marks', async () => {
  const [odd] = await sql<{ id: string }[]>`
    select id from graphile_worker.add_job('Count', flags => array['kretes:lost', 'kretes:started', 'kretes:cancelled'])`
  const values = [-5, 1.5, 1e30, 'many', null, {}]
  for (const value of values) await add(value)
  await fetchAs('dead')
  await register('dead')
  const rescue = await rescueJobs(connections, schema, 'dead', limits)
  assert.is((rescue?.rescued ?? 0) + (rescue?.failed.length ?? 0), 1 + values.length)
  assert.is((await losses())[odd?.id ?? ''], 1)
})

test('are not waited for by a second worker that would give them to others', async () => {
  await add()
  await fetchAs('dead')
  await register('dead')
  const impatient = postgres(database.url, { max: 1, connection: { lock_timeout: 1_000 } })
  onceDone(() => impatient.end({ timeout: 1 }))
  await sql.begin(async transaction => {
    await transaction`select from kretes.workers for update`
    assert.is(await rescueJobs(poolOf(impatient), schema, 'dead', limits), null)
  })
  assert.equal(await rescueJobs(poolOf(impatient), schema, 'dead', limits), { rescued: 1, failed: [] })
})

test('are given to others even if the ledger has no room for today', async () => {
  await add()
  await fetchAs('dead')
  await register('dead')
  const undo = new Error('as before')
  await sql
    .begin(async transaction => {
      const partitions = await transaction`
        select inhrelid::regclass::text as name from pg_inherits where inhparent = 'kretes.ledger'::regclass`
      for (const { name } of partitions) await transaction`drop table ${transaction.unsafe(name)}`
      const execute = executeIn(transaction)
      const within: Connections = { execute, transact: work => work(execute) }
      assert.equal(await rescueJobs(within, schema, 'dead', limits), { rescued: 1, failed: [] })
      throw undo
    })
    .catch(error => assert.is(error, undo))
})

test('free their queues too when it leaves by itself, whatever it still knew of', async () => {
  await sql`
    insert into graphile_worker._private_job_queues (queue_name, locked_by, locked_at)
    values ('left', 'mine', now()), ('other', 'other', now())`
  await register('mine')
  await unregisterWorker(execute, schema, 'mine')
  const queues =
    await sql`select queue_name as name, locked_by as by from graphile_worker._private_job_queues order by 1`
  assert.equal(
    [...queues],
    [
      { name: 'left', by: null },
      { name: 'other', by: 'other' }
    ]
  )
  assert.is((await sql`select from kretes.workers`).length, 0)
})

/** Adds a job that was lost once, or as often as its flag says. */
async function add(lost: unknown = 1): Promise<string> {
  const [row] = await sql<{ id: string }[]>`select id from graphile_worker.add_job('Count')`
  const id = row?.id ?? ''
  await sql`update graphile_worker._private_jobs set flags = ${JSON.stringify({ 'kretes:lost': lost })}::text::jsonb where id = ${id}`
  return id
}

async function fetchAs(worker: string): Promise<void> {
  await sql`
    update graphile_worker._private_jobs set locked_by = ${worker}, locked_at = now(), attempts = attempts + 1
    where locked_by is null`
}

async function register(worker: string): Promise<void> {
  await sql`
    insert into kretes.workers (id, host, pid, concurrency, beat_at)
    values (${worker}, 'nowhere', 1, 10, now() - interval '1 minute')`
}

async function losses(): Promise<Record<string, number>> {
  const rows = await sql<{ id: string; losses: number }[]>`
    select id, (flags ->> 'kretes:lost')::int as losses from graphile_worker._private_jobs`
  return Object.fromEntries(rows.map(row => [row.id, row.losses]))
}
