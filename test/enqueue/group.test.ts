import postgres, { type TransactionSql } from 'postgres'
import { createBackground } from '../../src/background.ts'
import type { BackgroundClient } from '../../src/client.ts'
import { poolOf } from '../../src/database/connections/pool.ts'
import { withoutConflicts, withSchema } from '../../src/database/connections/repeat.ts'
import { createGroups } from '../../src/enqueue/group.ts'
import { toNewJob, toRequest } from '../../src/enqueue/request.ts'
import type { Job, KeyMode } from '../../src/job.ts'
import { Queue } from '../../src/queue.ts'
import type { JobOptions } from '../../src/schedule.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { randomFrom } from '../helpers/random.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'

const mapping = suite('calls at once')
const faults = suite('a fault among calls at once')
const keys = suite('calls of one key at once')

const database = await createDatabase()
const { sql } = database
const background = open(database)
await background.migrate()

for (const setting of ['none', 'enable_hashjoin', 'enable_nestloop', 'enable_mergejoin', 'enable_sort']) {
  mapping(`each get their own job with ${setting} turned off`, async () => {
    const other = await createDatabase()
    if (setting !== 'none') {
      await other.sql`alter database ${sql(other.name)} set ${sql(setting)} = off`
    }
    await using there = createBackground({ connection: other.url })
    const jobs = await Promise.all(Array.from({ length: 10_000 }, (_, n) => there.schedule(toCall(n))))
    await holdToTheirCalls(other, jobs)
  })
}

mapping('are told apart even if their payloads say the same', async () => {
  const payloads = [
    { a: 1, b: [1, 2], c: 'x' },
    { c: 'x', b: [1, 2], a: 1 },
    { a: 1, b: [1, 2], c: 'x ' },
    { a: 1, b: [1, 2], c: ' x' },
    { a: 1, b: [1, 2], 'c ': 'x' },
    { a: 1, b: [1, 2], c: 'x\n' }
  ]
  const calls = Array.from({ length: 3_000 }, (_, n) => ({
    task: n % 5 ? 'Same' : 'Other',
    payload: payloads[n % payloads.length]
  }))
  const jobs = await Promise.all(calls.map(call => background.schedule(call)))
  assert.is(new Set(jobs.map(({ id }) => id)).size, calls.length)
  const rows = await sql<{ id: string; task: string; payload: string }[]>`
    select jobs.id, identifier as task, payload::text
    from graphile_worker._private_jobs jobs
    join graphile_worker._private_tasks tasks on tasks.id = task_id
    where jobs.id = any(${jobs.map(({ id }) => id)}::bigint[])`
  const rowOf = new Map(rows.map(row => [row.id, row]))
  for (const [n, { id, task }] of jobs.entries()) {
    const call = calls[n]
    assert.equal(rowOf.get(id), { id, task, payload: JSON.stringify(call?.payload) })
    assert.is(task, call?.task)
  }
})

mapping('bring the schema into a new database once', async () => {
  const other = await createDatabase({ isEmpty: true })
  await using there = createBackground({ connection: other.url })
  const jobs = await Promise.all(Array.from({ length: 500 }, (_, n) => there.schedule(toCall(n))))
  await holdToTheirCalls(other, jobs)
})

mapping('share statements, and one that comes alone does not wait for others', async () => {
  const other = await createDatabase()
  await using there = createBackground({ connection: other.url })
  await there.schedule({ task: 'First' })
  const count = async () => {
    const [row] = await other.sql<{ count: number }[]>`
      select count(distinct xmin::text)::int as count from graphile_worker._private_jobs`
    return row?.count ?? 0
  }
  await Promise.all(Array.from({ length: 2_000 }, () => there.schedule({ task: 'Together' })))
  assert.ok((await count()) < 20)
  for (let n = 0; n < 5; n++) await there.schedule({ task: 'Alone' })
  assert.ok((await count()) > 5)
})

faults('that only the database sees fails its own call and no other', async () => {
  await sql`
    create function refuse() returns trigger language plpgsql as $$
    begin
      if new.payload->>'bad' is not null then raise exception 'No such %', new.payload->>'bad'; end if;
      return new;
    end $$`
  await sql`
    create trigger refuse before insert on graphile_worker._private_jobs for each row execute function refuse()`
  try {
    const settled = await Promise.allSettled(
      Array.from({ length: 1_000 }, (_, n) => {
        const bad = n % 100 === 37 ? { bad: `thing ${n}` } : {}
        return background.schedule({ ...toCall(n), task: 'Faulty', payload: { n, ...bad } })
      })
    )
    for (const [n, outcome] of settled.entries()) {
      if (n % 100 !== 37) assert.is(outcome.status, 'fulfilled', `call ${n}`)
      else assert.is(outcome.status === 'rejected' && outcome.reason.message, `No such thing ${n}`)
    }
    assert.is(await countOf('Faulty'), 990)
  } finally {
    await sql`drop function refuse cascade`
  }
})

for (const [what, change] of Object.entries({
  'rounds their times': "date_trunc('hour', new.run_at)",
  'moves their times by a little': "new.run_at + interval '500 microseconds'",
  'gives all of them one time': "'2030-01-01T00:00:00Z'"
})) {
  mapping(`each get their own job with a trigger that ${what}`, async () => {
    const other = await createDatabase()
    await using there = createBackground({ connection: other.url })
    await there.schedule({ task: 'First' })
    await other.sql`delete from graphile_worker._private_jobs`
    await other.sql.unsafe(`
      create function move() returns trigger language plpgsql as $$ begin new.run_at := ${change}; return new; end $$;
      create trigger move before insert on graphile_worker._private_jobs for each row execute function move()`)
    const payloads = Array.from({ length: 300 }, (_, n) => ({ n }))
    const single = await Promise.all(payloads.map(payload => there.schedule({ task: 'Move', payload })))
    const alike = await there.scheduleMany({ task: 'Move', payloads })
    const many = await there.scheduleMany(payloads.map(payload => ({ task: 'Move', payload })))
    const rows = await other.sql<{ id: string; n: number }[]>`
      select id, (payload->>'n')::int as n from graphile_worker._private_jobs`
    assert.is(rows.length, 900)
    const numberOf = new Map(rows.map(({ id, n }) => [id, n]))
    for (const jobs of [single, alike, many]) for (const [n, { id }] of jobs.entries()) assert.is(numberOf.get(id), n)
  })
}

faults('that drops a job without a word is told, and the job is not added again', async () => {
  const other = await createDatabase()
  await using there = createBackground({ connection: other.url })
  await there.schedule({ task: 'First' })
  await other.sql.unsafe(`
    create function drop_it() returns trigger language plpgsql as $$ begin return null; end $$;
    create trigger drop_it before insert on graphile_worker._private_jobs for each row execute function drop_it()`)
  const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => there.schedule({ task: 'Dropped' })))
  for (const outcome of outcomes) {
    assert.is(outcome.status === 'rejected' && outcome.reason.code, 'OUTCOME_UNKNOWN')
  }
})

faults('that can be seen before fails its own call and no other', async () => {
  const settled = await Promise.allSettled(
    Array.from({ length: 1_000 }, (_, n) =>
      background.schedule({ task: 'Keyed', key: n + '🚀'.repeat((n % 100 === 5 ? 513 : 512) - `${n}`.length) })
    )
  )
  const reasons = settled.flatMap(outcome => (outcome.status === 'rejected' ? [outcome.reason.message] : []))
  assert.equal(reasons, Array(10).fill('Cannot schedule Keyed: key has 513 characters, more than 512'))
  assert.is(await countOf('Keyed'), 990)
})

faults('of the database itself is told to all of them at once', async () => {
  const other = await createDatabase()
  await using there = createBackground({ connection: other.url })
  await there.migrate()
  await other.sql`alter database ${sql(other.name)} set default_transaction_read_only = on`
  await using readOnly = createBackground({ connection: other.url })
  const settled = await Promise.allSettled(Array.from({ length: 500 }, () => readOnly.schedule({ task: 'Never' })))
  const codes = settled.map(outcome => outcome.status === 'rejected' && outcome.reason.code)
  assert.equal(new Set(codes), new Set(['DATABASE_UNAVAILABLE']))
})

for (const seed of [1, 2, 3, 4]) {
  keys(`leave what calls in sequence leave, in all key modes mixed (${seed})`, async () => {
    const random = randomFrom(seed)
    const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T
    const calls = Array.from({ length: 200 }, (_, n) => ({
      task: 'Keys',
      payload: { n },
      key: `key ${Math.floor(random() * 8)}`,
      keyMode: pick<KeyMode>(['replace', 'preserveRunAt', 'unsafeDedupe']),
      priority: n,
      runAt: new Date(2e12 + Math.floor(random() * 1e9))
    }))
    const leave = async (schedule: (there: BackgroundClient) => Promise<Job[]>) => {
      const other = await createDatabase()
      await using there = createBackground({ connection: other.url })
      await there.migrate()
      // One that failed for good, which is not replaced but put aside.
      const { id } = await there.schedule({ task: 'Keys', key: 'key 1', payload: { n: -1 }, runAt: new Date(2e12) })
      await other.sql`update graphile_worker._private_jobs set attempts = max_attempts where id = ${id}`
      const jobs = await schedule(there)
      const rows = await other.sql`
        select key, payload::text, run_at, priority, attempts, max_attempts, revision
        from graphile_worker._private_jobs order by key, id`
      return { rows: [...rows], jobs: jobs.map(({ id: _, scheduledAt, ...job }) => job) }
    }
    const lines = ({ rows, jobs }: typeof inSequence) => [...rows, ...jobs].map(item => JSON.stringify(item))
    const inSequence = await leave(async there => {
      const jobs: Job[] = []
      for (const call of calls) jobs.push(await there.schedule(call))
      return jobs
    })
    const atOnce = await leave(there => Promise.all(calls.map(call => there.schedule(call))))
    assert.equal(lines(atOnce), lines(inSequence))
  })
}

keys('debounce: there is one job, due after the last call, with its payload', async () => {
  const call = (n: number) => background.schedule({ task: 'Debounced', payload: { n }, key: 'debounce', delay: '1h' })
  const first = await call(0)
  // As the database has it: a `Date` does not tell two times of one millisecond apart.
  const dueAt = async (): Promise<number> => {
    const [row] = await sql<{ due: number }[]>`
      select date_part('epoch', run_at) as due from graphile_worker._private_jobs where id = ${first.id}`
    return row!.due
  }
  const due = await dueAt()
  const jobs = await Promise.all([1, 2, 3].map(call))
  assert.equal(new Set(jobs.map(({ id }) => id)), new Set([first.id]))
  assert.ok((await dueAt()) > due)
  assert.equal(await payloadsOf('Debounced'), ['{"n":3}'])
})

keys('throttle: there is one job, due after the first call, with the payload of the last', async () => {
  const call = (n: number) =>
    background.schedule({ task: 'Throttled', payload: { n }, key: 'throttle', keyMode: 'preserveRunAt', delay: '1h' })
  const first = await call(0)
  const jobs = await Promise.all([1, 2, 3].map(call))
  assert.ok(jobs.every(({ runAt }) => runAt.getTime() === first.runAt.getTime()))
  assert.equal(await payloadsOf('Throttled'), ['{"n":3}'])
})

keys("wait for somebody's open transaction, and with a lock_timeout only those of its key fail", async () => {
  await using patient = createBackground({ connection: `${database.url}?lock_timeout=100` })
  await patient.schedule({ task: 'Held' })
  const failure = await sql.begin(async transaction => {
    await background.with(transaction).schedule({ task: 'Held', key: 'held 7' })
    const calls = Array.from({ length: 40 }, (_, n) => patient.schedule({ task: 'Held', key: `held ${n}` }))
    const settling = Promise.allSettled(calls)
    // Those without a key do not even wait.
    await patient.schedule({ task: 'Held' })
    const settled = await settling
    assert.equal(
      settled.flatMap(({ status }, n) => (status === 'rejected' ? [n] : [])),
      [7]
    )
    const outcome = settled[7]
    return outcome?.status === 'rejected' ? outcome.reason : undefined
  })
  assert.is(failure.code, '55P03')
  assert.is(await countOf('Held'), 42)
})

keys('are sent again, and nothing is migrated, if the database ended them in favour of somebody else', async () => {
  const client = postgres(`${database.url}?deadlock_timeout=3000`, { max: 4, onnotice: () => {} })
  onceDone(() => client.end({ timeout: 1 }))
  let migrations = 0
  const { execute } = withSchema(withoutConflicts(poolOf(client)), async () => void migrations++)
  const schedule = createGroups({ execute, schema: 'graphile_worker', isOurs: true })
  const settings = { schema: 'graphile_worker', defaults: {}, maxPayloadBytes: 1_000 }
  const call = async (key: string): Promise<Job> => {
    const options = { task: 'Crossing', key }
    return await schedule(await toNewJob(options, toRequest(options, {}), settings))
  }
  const [left, right] = [await call('left'), await call('right')]
  const lock = (transaction: TransactionSql, { id }: Job) =>
    transaction`select from graphile_worker._private_jobs where id = ${id} for update`
  const calls = await sql.begin(async transaction => {
    // So that it is the others.
    await transaction`set local deadlock_timeout = '10min'`
    await lock(transaction, right)
    // The first goes alone, and those that come meanwhile together.
    const underWay = ['first', 'left', 'right'].map(call)
    await until(async () => {
      const waiting = await sql`
        select from pg_stat_activity where datname = ${database.name} and wait_event_type = 'Lock'`
      return waiting.length > 0
    })
    await lock(transaction, left)
    return { underWay }
  })
  const jobs = await Promise.all(calls.underWay)
  assert.equal(
    jobs.slice(1).map(({ id }) => id),
    [left.id, right.id]
  )
  assert.is(migrations, 0)
  assert.is(await countOf('Crossing'), 3)
})

/** A call of one of all kinds. */
function toCall(n: number): { task: string; payload: { n: number } } & JobOptions & { delay?: number } {
  const kinds: (JobOptions & { delay?: number })[] = [
    {},
    { queue: Queue.for(`queue ${n % 7}`) },
    { delay: n },
    { priority: n % 11, maxAttempts: 1 + (n % 5) },
    ...(n % 50 === 0 ? [{ key: `key ${n}` }, { runAt: new Date(2e12 + n) }, { runAt: new Date(2e12) }] : [])
  ]
  return { task: `Task${n % 3}`, payload: { n }, ...kinds[n % kinds.length] }
}

/** Each job is there once, and is what its call asked for. */
async function holdToTheirCalls(there: TestDatabase, jobs: readonly Job[]): Promise<void> {
  const rows = await there.sql<(Job & { n: number })[]>`
    select jobs.id, task_identifier as task, queue_name as queue, jobs.priority, jobs.run_at as "runAt",
      jobs.attempts, jobs.max_attempts as "maxAttempts", jobs.key, jobs.created_at as "scheduledAt",
      null as schedule, null as occurrence, (payload->>'n')::int as n
    from graphile_worker.jobs join graphile_worker._private_jobs payloads using (id)`
  assert.is(rows.length, jobs.length)
  const rowOf = new Map(rows.map(row => [row.n, row]))
  for (const [n, job] of jobs.entries()) {
    const { n: _, ...row } = rowOf.get(n) ?? { n }
    assert.equal(row, job)
    const asked = toCall(n)
    assert.is(job.task, `Task${n % 3}`)
    assert.is(job.queue, asked.queue?.name ?? null)
    assert.is(job.priority, asked.priority ?? 0)
    assert.is(job.key, asked.key ?? null)
    if (asked.runAt) assert.equal(job.runAt, asked.runAt)
    else assert.ok(Math.abs(job.runAt.getTime() - job.scheduledAt.getTime() - (asked.delay ?? 0)) <= 5_000)
  }
}

async function countOf(task: string): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from graphile_worker.jobs where task_identifier = ${task}`
  return row?.count ?? 0
}

async function payloadsOf(task: string): Promise<string[]> {
  const rows = await sql<{ payload: string }[]>`
    select payload::text
    from graphile_worker.jobs join graphile_worker._private_jobs payloads using (id)
    where task_identifier = ${task}`
  return rows.map(({ payload }) => payload)
}

function open({ url }: TestDatabase): BackgroundClient {
  const opened = createBackground({ connection: url })
  onceDone(() => opened.close())
  return opened
}
