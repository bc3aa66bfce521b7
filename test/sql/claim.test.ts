import postgres from 'postgres'
import { createBackground } from '../../src/background.ts'
import { type ClaimRequest, claimJobs, jobsOf } from '../../src/sql/worker/claim.ts'
import { choiceOf } from '../helpers/choice.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { randomFrom } from '../helpers/random.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('claimJobs()')

const database = await prepared()
const { sql } = database

test.before.each(async () => {
  await sql`truncate graphile_worker._private_jobs, graphile_worker._private_job_queues`
})

interface Row {
  readonly id: string
  readonly queue: string | null
  readonly priority: number
  readonly attempts: number
}

test('takes what is due, by priority, then by time, then by number, and an equal share of each free queue', async () => {
  const seed = Number(process.env.KRETES_TEST_SEED ?? Math.floor(Math.random() * 1e9))
  const random = randomFrom(seed)
  for (let round = 0; round < 20; round++) {
    await sql`truncate graphile_worker._private_jobs, graphile_worker._private_job_queues`
    const jobs = Array.from({ length: 60 }, (_, n) => ({
      n,
      queue: random() < 0.6 ? `queue ${Math.floor(random() * 8)}` : null,
      priority: Math.floor(random() * 3),
      minutes: Math.floor(random() * 40) - 35,
      task: random() < 0.8 ? 'Known' : 'Unknown',
      isOver: random() < 0.1,
      isRunning: random() < 0.05
    }))
    const ids: string[] = []
    for (const { queue, priority, minutes, task, isOver } of jobs) {
      const [row] = await sql<{ id: string }[]>`
        select id from graphile_worker.add_job(
          ${task}::text, queue_name => ${queue}::text, priority => ${priority}::int, run_at => date_trunc('hour', now()) - interval '1 hour'
            + ${minutes}::int * interval '1 minute' + ${ids.length}::int * interval '1 second' + case when ${minutes}::int > 0 then interval '3 hours' else '0' end,
          max_attempts => 1
        )`
      if (isOver) await sql`update graphile_worker._private_jobs set attempts = 1 where id = ${row!.id}`
      ids.push(row!.id)
    }
    const held = new Set<string>()
    for (const { n, queue, isRunning, isOver } of jobs) {
      if (!isRunning || isOver || queue === null || held.has(queue)) continue
      held.add(queue)
      await sql`update graphile_worker._private_jobs set locked_at = now(), locked_by = 'other' where id = ${ids[n]!}`
      await sql`
        update graphile_worker._private_job_queues set locked_at = now(), locked_by = 'other' where queue_name = ${queue}`
    }
    const waiting = jobs
      .filter(
        ({ task, minutes, isOver, queue }) => task === 'Known' && minutes <= 0 && !isOver && !(queue && held.has(queue))
      )
      .toSorted((a, b) => a.priority - b.priority || a.minutes - b.minutes || a.n - b.n)
    const front = waiting.slice(0, 15)
    const free = front.filter(({ queue }) => queue === null)
    const queues = new Set(front.flatMap(({ queue }) => queue ?? []))
    const share = Math.max(1, Math.floor(15 / queues.size))
    const shares = [...queues].flatMap(name => waiting.filter(({ queue }) => queue === name).slice(0, share))
    const expected = waiting.filter(job => free.includes(job) || shares.includes(job))
    const claimed = await claim(15)
    assert.equal(
      claimed.map(({ id }) => id),
      expected.map(({ n }) => ids[n]),
      `with the seed ${seed}`
    )
    assert.ok(claimed.every(({ attempts }) => attempts === 1))
    const locked = await sql`select id from graphile_worker._private_jobs where locked_by = 'me'`
    assert.equal(locked.map(({ id }) => id).sort(), claimed.map(({ id }) => id).sort())
    const lockedQueues = await sql`
      select queue_name from graphile_worker._private_job_queues where locked_by = 'me' order by 1`
    assert.equal(
      lockedQueues.map(row => row.queue_name),
      [...queues].toSorted()
    )
  }
})

test('passes over queues that another is fetching from, and finds what waits behind them', async () => {
  for (const queue of ['a', 'a', 'b', 'b', null]) await add(queue)
  const open = await sql.reserve()
  await open`begin`
  assert.equal((await claim(2, open)).length, 2)
  assert.equal(
    (await claim(10)).map(({ queue }) => queue),
    ['b', 'b', null]
  )
  assert.equal(await claim(10), [])
  await open`commit`
  open.release()
  assert.equal(await claim(10), [])
})

test('lets no job of a queue overtake one that a transaction has locked', async () => {
  for (const queue of ['a', 'a', null, 'b']) await add(queue)
  const [first, second] = await sql`select id from graphile_worker._private_jobs order by id limit 2`
  const held = await sql.reserve()
  await held`begin`
  await held`select from graphile_worker._private_jobs where id = ${first!.id} for update`
  assert.equal(
    (await claim(10)).map(({ queue }) => queue),
    [null, 'b']
  )
  assert.equal(await claim(10), [])
  await held`rollback`
  held.release()
  assert.equal(
    (await claim(10)).map(({ id }) => id),
    [first!.id, second!.id]
  )
})

test('takes no more jobs of a queue than it is asked to', async () => {
  for (const queue of ['a', 'a', 'a', 'b', 'b', 'b']) await add(queue)
  const [queue] = await sql<{ id: number }[]>`
    select id from graphile_worker._private_job_queues where queue_name = 'a'`
  assert.equal(
    (await claim(10, undefined, { most: new Map([[queue!.id, 2]]) })).map(({ queue }) => queue),
    ['a', 'a', 'b', 'b', 'b']
  )
})

test('takes jobs only from the queues that it is given if it does not look for queues', async () => {
  for (const queue of ['a', 'a', 'b', null, 'c']) await add(queue)
  const [queue] = await sql<{ id: number }[]>`
    select id from graphile_worker._private_job_queues where queue_name = 'a'`
  const given = { scans: 'none' as const, also: [queue!.id] }
  assert.equal(
    (await claim(10, undefined, given)).map(({ queue }) => queue),
    ['a', 'a', null]
  )
  assert.equal(await claim(10, undefined, given), [])
  assert.equal(
    (await claim(10)).map(({ queue }) => queue),
    ['b', 'c']
  )
})

test('reads no more behind a long queue that a worker holds than without it', async () => {
  await addLong()
  assert.is((await claim(1)).length, 1)
  for (let n = 0; n < 20; n++) await add(null)
  await sql`vacuum analyze graphile_worker._private_jobs`
  const pages = await pagesOf(
    claimJobs('graphile_worker', { worker: 'me', choice: choiceOf('Known'), size: 1, scans: 'none' }).text
  )
  assert.ok(pages < 100, `${pages} pages were read`)
})

test('reads only the first jobs of a long queue', async () => {
  await addLong()
  await sql`vacuum analyze graphile_worker._private_jobs`
  const { text } = claimJobs('graphile_worker', { worker: 'me', choice: choiceOf('Known'), size: 10 })
  const pages = await pagesOf(text)
  assert.ok(pages < 500, `${pages} pages were read`)
})

test('keeps the order of the jobs of one call, although some were given back', async () => {
  await sql`
    select graphile_worker.add_job('Known', queue_name => 'a', run_at => date_trunc('hour', now())) from generate_series(1, 40)`
  const ids = (await sql`select id from graphile_worker._private_jobs order by id`).map(({ id }) => id)
  await sql`update graphile_worker._private_jobs set attempts = 1 where id = any(${ids.slice(0, 5)})`
  await sql`update graphile_worker._private_jobs set attempts = 0 where id = any(${ids.slice(0, 5)})`
  assert.equal(
    (await claim(10)).map(({ id }) => id),
    ids.slice(0, 10)
  )
})

test('looks behind queues whose first jobs are locked, however many jobs they have', async () => {
  for (const queue of ['a', 'b']) for (let n = 0; n < 6; n++) await add(queue)
  await add(null)
  await add('c')
  const held = await sql.reserve()
  await held`begin`
  await held`
    select from graphile_worker._private_jobs
    where id in (select min(id) from graphile_worker._private_jobs group by job_queue_id)
      and job_queue_id in (select id from graphile_worker._private_job_queues where queue_name in ('a', 'b'))
    for update`
  assert.equal(
    (await claim(5)).map(({ queue }) => queue),
    [null, 'c']
  )
  await held`rollback`
  held.release()
  assert.equal(
    (await claim(5)).map(({ queue }) => queue),
    ['a', 'a', 'a', 'a', 'a']
  )
})

test('passes over a queue that is locked though no worker has a job of it', async () => {
  for (let n = 0; n < 6; n++) await add('a')
  await sql`update graphile_worker._private_job_queues set locked_at = now(), locked_by = 'gone'`
  await add('b')
  assert.equal(
    (await claim(5)).map(({ queue }) => queue),
    ['b']
  )
})

test('leaves queues free whose jobs would be too much payload', async () => {
  for (const queue of ['a', 'b', 'c']) {
    await sql`
      select graphile_worker.add_job(
        'Known', json_build_object('text', repeat('x', 9000000)), ${queue}::text, run_at => clock_timestamp() - interval '1 minute'
      )`
  }
  assert.equal(
    (await claim(10)).map(({ queue }) => queue),
    ['a', 'b']
  )
  const free = await sql`select queue_name from graphile_worker._private_job_queues where locked_at is null`
  assert.equal([...free], [{ queue_name: 'c' }])
})

test('keeps the order of a queue from which many fetch and complete at once', async () => {
  await sql`
    select graphile_worker.add_job('Known', queue_name => 'only', run_at => now() - interval '1 hour' + n * interval '1 ms')
    from generate_series(1, 300) n`
  const order: number[] = []
  const { text, values } = claimJobs('graphile_worker', { worker: 'me', choice: choiceOf('Known'), size: 10 })
  const drain = async (): Promise<void> => {
    const session = postgres(database.url, { max: 1, connection: { enable_seqscan: false } })
    while (order.length < 200) {
      const { jobs } = jobsOf(await session.unsafe(text, values as never[], { prepare: true }))
      if (jobs.length === 0) continue
      const ids = jobs.map(row => Number(row.id))
      order.push(...ids)
      await session`
        with done as (delete from graphile_worker._private_jobs where id = any(${ids}) returning job_queue_id)
        update graphile_worker._private_job_queues queue set locked_at = null, locked_by = null
        from done where queue.id = done.job_queue_id`
    }
    await session.end()
  }
  await Promise.all([drain(), drain(), drain(), drain()])
  assert.equal(
    order,
    order.toSorted((left, right) => left - right)
  )
})

test('finds a queue free again whose worker has let go of it, whatever became of its jobs', async () => {
  await add('a')
  await sql`update graphile_worker._private_job_queues set locked_at = now(), locked_by = 'gone'`
  assert.equal(await claim(10), [])
  await sql`update graphile_worker._private_job_queues set locked_at = null, locked_by = null`
  assert.is((await claim(10)).length, 1)
})

test('reads no more with many names of queues than with few', async () => {
  await sql`
    insert into graphile_worker._private_job_queues (queue_name) select 'idle ' || n from generate_series(1, 20000) n`
  for (let n = 0; n < 20; n++) await add(`queue ${n}`)
  await sql`vacuum analyze graphile_worker._private_job_queues`
  const { text } = claimJobs('graphile_worker', { worker: 'me', choice: choiceOf('Known'), size: 10 })
  const pages = await pagesOf(text)
  assert.ok(pages < 1_000, `${pages} pages were read`)
})

async function prepared(): Promise<TestDatabase> {
  const created = await createDatabase()
  await using background = createBackground({ connection: created.url })
  await background.migrate()
  await created.sql`insert into graphile_worker._private_tasks (identifier) values ('Known'), ('Unknown')`
  return created
}

/** Adds a queue of 100,000 jobs. */
async function addLong(): Promise<void> {
  await add('long')
  await sql`
    insert into graphile_worker._private_jobs (job_queue_id, task_id, payload, run_at)
    select job_queue_id, task_id, payload, run_at from graphile_worker._private_jobs, generate_series(1, 100000)
    where job_queue_id is not null`
}

/** How many pages a statement reads, with the settings of a worker's connections. */
async function pagesOf(text: string): Promise<number> {
  return await sql.begin(async transaction => {
    await transaction`set local enable_seqscan = off`
    const [row] = await transaction.unsafe<
      { 'QUERY PLAN': { Plan: { 'Shared Hit Blocks': number; 'Shared Read Blocks': number } }[] }[]
    >(
      `explain (analyze, buffers, format json) ${text
        .replaceAll('$1', "'me'")
        .replaceAll('$2', "'{Known,Unknown}'")
        .replaceAll('$3', "'{}'")
        .replaceAll(/\$[45678]/g, "'{}'")}`
    )
    const { Plan } = row!['QUERY PLAN'][0]!
    return Plan['Shared Hit Blocks'] + Plan['Shared Read Blocks']
  })
}

async function add(queue: string | null): Promise<void> {
  await sql`select graphile_worker.add_job('Known', queue_name => ${queue}::text, run_at => clock_timestamp() - interval '1 minute')`
}

/** With the settings of a worker's connections. */
async function claim(
  count: number,
  session?: TestDatabase['sql'],
  { without = [], ...more }: Partial<ClaimRequest> = {}
): Promise<Row[]> {
  const request = { worker: 'me', choice: choiceOf('Known'), size: count, without, ...more }
  const { text, values } = claimJobs('graphile_worker', request)
  const run = async (
    client: Pick<TestDatabase['sql'], 'unsafe'>
  ): Promise<(Row & { job_queue_id: number | null })[]> => {
    await client.unsafe(`set local enable_seqscan = off`)
    return await client.unsafe(text, values as never[])
  }
  const found = session ? await run(session) : ((await sql.begin(run)) as Awaited<ReturnType<typeof run>>)
  const { jobs: rows, stuck } = jobsOf(found)
  if (stuck.length > 0) return await claim(count, session, { without: [...without, ...stuck], ...more })
  const names = await sql`select id, queue_name from graphile_worker._private_job_queues`
  return rows.map(row => ({ ...row, queue: names.find(({ id }) => id === row.job_queue_id)?.queue_name ?? null }))
}
