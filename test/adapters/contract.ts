import { createBackground } from '../../src/background.ts'
import { BackgroundError } from '../../src/errors.ts'
import { Queue } from '../../src/queue.ts'
import { defineTask } from '../../src/task.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createUnconnected, failureOf, type Library, openBench, type Transaction } from './library.ts'
import { payloads, strange } from './payloads.ts'

class Change extends Error {}

/** What holds in the transactions of every library. */
export async function testTransactions(library: Library): Promise<void> {
  const test = suite(`a transaction of ${library.name}`)
  const bench = await openBench(library)
  const unready = await openBench(library, false)
  const { sql } = bench.database
  await sql`create table orders (id int primary key, parent int references orders deferrable initially deferred)`

  // node-postgres warns of more than one statement at a time.
  const warnings: Error[] = []
  process.on('warning', warning => warnings.push(warning))

  test('holds the job, with all that was asked of it, once it is committed', async () => {
    const SendEmail = defineTask({ name: 'SendEmail', maxAttempts: 7, run: (_: { to: string }) => {} })
    const runAt = new Date(Date.now() + 3_600_000)
    await bench.transact(async transaction => {
      await transaction.run('insert into orders values (1)')
      const job = await bench.with(transaction).schedule({
        task: SendEmail,
        payload: { to: 'admin@example.com' },
        queue: Queue.for('email'),
        runAt,
        priority: -3,
        key: 'commit'
      })
      const { id, scheduledAt, ...rest } = job
      assert.match(id, /^\d+$/)
      assert.instance(scheduledAt, Date)
      const expected = { task: 'SendEmail', queue: 'email', priority: -3, runAt, attempts: 0, maxAttempts: 7 }
      assert.equal(rest, { ...expected, key: 'commit', schedule: null, occurrence: null })
      assert.equal(await bench.keysOf('commit'), [])
    })
    const [row] = await sql`
      select task_identifier as task, queue_name as queue, jobs.priority, jobs.run_at as "runAt", jobs.attempts,
        jobs.max_attempts as "maxAttempts", payload
      from graphile_worker.jobs join graphile_worker._private_jobs stored using (id) where jobs.key = 'commit'`
    const payload = { to: 'admin@example.com' }
    assert.equal(row, {
      task: 'SendEmail',
      queue: 'email',
      priority: -3,
      runAt,
      attempts: 0,
      maxAttempts: 7,
      payload
    })
  })

  test('leaves no job when it is rolled back, 100 out of 100', async () => {
    for (let round = 0; round < 100; round++) {
      const failure = await failureOf(
        bench.transact(async transaction => {
          await transaction.run(`insert into orders values (${1_000 + round})`)
          await bench.with(transaction).schedule({ task: 'SendEmail', key: `rollback ${round}` })
          if (round % 10 === 0) await transaction.run('select 1 / 0')
          throw new Change()
        })
      )
      assert.is(failure instanceof Change, round % 10 !== 0)
    }
    assert.equal(await bench.keysOf('rollback'), [])
    assert.equal([...(await sql`select id from orders where id >= 1000`)], [])
  })

  test('leaves no job when its commit fails', async () => {
    await failureOf(
      bench.transact(async transaction => {
        await transaction.run('insert into orders values (2, 404)')
        await bench.with(transaction).schedule({ task: 'SendEmail', key: 'deferred' })
      })
    )
    assert.equal(await bench.keysOf('deferred'), [])
  })

  test('leaves no job of a savepoint that is rolled back, and keeps those around it', async () => {
    await bench.transact(async outer => {
      await bench.with(outer).schedule({ task: 'SendEmail', key: 'nested 1' })
      const failure = await failureOf(
        outer.nest(async inner => {
          await bench.with(inner).schedule({ task: 'SendEmail', key: 'nested 2' })
          throw new Change()
        })
      )
      assert.instance(failure, Change)
      await outer.nest(inner => bench.with(inner).schedule({ task: 'SendEmail', key: 'nested 3' }))
      await bench.with(outer).schedule({ task: 'SendEmail', key: 'nested 4' })
    })
    assert.equal(await bench.keysOf('nested'), ['nested 1', 'nested 3', 'nested 4'])
  })

  test('shares nothing with another one at the same time', async () => {
    await bench.transact(async kept => {
      const both: Transaction[] = [kept]
      const failure = await failureOf(
        bench.transact(async dropped => {
          both.push(dropped)
          const keys = ['apart 1', 'apart 2']
          await Promise.all(
            both.map((each, index) => bench.with(each).schedule({ task: 'SendEmail', key: keys[index] }))
          )
          throw new Change()
        })
      )
      assert.instance(failure, Change)
    })
    assert.equal(await bench.keysOf('apart'), ['apart 1'])
  })

  test('takes calls at the same time, and keeps their order', async () => {
    await bench.transact(async transaction => {
      const scheduler = bench.with(transaction)
      const keys = Array.from({ length: 20 }, (_, index) => `order ${index}`)
      const queue = Queue.for('order')
      const jobs = await Promise.all(keys.map(key => scheduler.schedule({ task: 'SendEmail', queue, key })))
      assert.equal(
        jobs.map(({ key }) => key),
        keys
      )
    })
    assert.equal(
      await bench.keysOf('order'),
      Array.from({ length: 20 }, (_, index) => `order ${index}`)
    )
    assert.equal(warnings, [])
  })

  test('schedules many, changes and removes jobs, all with it or not at all', async () => {
    const kept = ['change 0', 'change 1', 'change 2', 'change 3'].map(key => ({ task: 'SendEmail', key, priority: 1 }))
    await bench.transact(transaction => bench.with(transaction).scheduleMany(kept))
    const work = async (transaction: Transaction) => {
      const scheduler = bench.with(transaction)
      const payloads = Array.from({ length: 2_500 }, (_, n) => ({ n }))
      const jobs = await scheduler.scheduleMany({ task: 'Many', payloads })
      assert.is(new Set(jobs.map(({ id }) => id)).size, 2_500)
      assert.is(await scheduler.scheduleMany({ task: 'Many', payloads }, { returning: false }), 2_500)
      assert.is((await scheduler.unschedule({ key: 'change 1' })).key, 'change 1')
      const changed = await scheduler.reschedule({ key: 'change 2' }, { priority: 5, delay: '1h' })
      assert.is(changed.priority, 5)
      assert.is((await scheduler.schedule({ task: 'SendEmail', key: 'change 3', priority: 9 })).priority, 9)
    }
    const state = async () => {
      const [many] = await sql`select count(*)::int, count(distinct payload->>'n')::int as distinct
        from graphile_worker.jobs join graphile_worker._private_jobs stored using (id) where task_identifier = 'Many'`
      const rest = await sql`
        select key, priority, run_at > now() + interval '30 minutes' as later
        from graphile_worker.jobs where key like 'change%' order by key`
      return [many, ...rest]
    }
    const before = await state()
    const undone = async (transaction: Transaction) => {
      await work(transaction)
      throw new Change()
    }
    assert.instance(await failureOf(bench.transact(undone)), Change)
    assert.equal(await state(), before)
    await bench.transact(work)
    assert.equal(await state(), [
      { count: 5_000, distinct: 2_500 },
      { key: 'change 0', priority: 1, later: false },
      { key: 'change 2', priority: 5, later: true },
      { key: 'change 3', priority: 9, later: false }
    ])
  })

  test('stores whatever JSON and texts can hold', async () => {
    for (const [what, payload] of Object.entries(payloads)) {
      const stored: unknown[] = []
      await bench.transact(async transaction => {
        const scheduler = bench.with(transaction)
        const job = await scheduler.schedule({ task: 'Odd', payload, queue: Queue.for(strange), key: `odd ${strange}` })
        assert.is(job.queue, strange)
        assert.is(job.key, `odd ${strange}`)
        const [many] = await scheduler.scheduleMany({ task: 'Odd', payloads: [payload] })
        const rows = sql`select payload from graphile_worker._private_jobs where id in ${sql([job.id, many?.id ?? ''])}`
        assert.equal([...(await rows)], [])
        stored.push(job.id, many?.id)
      })
      const rows = await sql`
        select payload, queue_name as queue, jobs.key
        from graphile_worker.jobs join graphile_worker._private_jobs stored using (id)
        where id = any(${stored as string[]}) order by id`
      const expected = JSON.parse(JSON.stringify(payload))
      assert.equal(
        [...rows],
        [
          { payload: expected, queue: strange, key: `odd ${strange}` },
          { payload: expected, queue: null, key: null }
        ],
        what
      )
      await bench.transact(async transaction => {
        await bench.with(transaction).reschedule({ key: `odd ${strange}` }, { priority: 2 })
        await bench.with(transaction).unschedule({ key: `odd ${strange}` })
      })
    }
  })

  test('goes on after a call that was refused before anything was sent, or that found no job', async () => {
    await bench.transact(async transaction => {
      const scheduler = bench.with(transaction)
      assert.instance(await failureOf(scheduler.schedule({ task: 'SendEmail', key: 'x'.repeat(513) })), RangeError)
      assert.instance(await failureOf(scheduler.schedule({ task: 'SendEmail', payload: { n: NaN } })), TypeError)
      const gone = await failureOf(scheduler.unschedule({ key: 'nobody' }))
      assert.instance(gone, BackgroundError)
      assert.is(gone.code, 'JOB_GONE')
      await scheduler.schedule({ task: 'SendEmail', key: 'goes on' })
    })
    assert.equal(await bench.keysOf('goes on'), ['goes on'])
  })

  test('tells of a missing schema, migrates nothing and spoils nothing but itself', async () => {
    const { database } = unready
    const calls: ((transaction: Transaction) => Promise<unknown>)[] = [
      transaction => unready.with(transaction).schedule({ task: 'SendEmail' }),
      transaction => unready.with(transaction).scheduleMany([{ task: 'SendEmail' }, { task: 'SendEmail' }]),
      transaction => unready.with(transaction).unschedule('1'),
      transaction => unready.with(transaction).reschedule('1', { priority: 1 })
    ]
    for (const call of calls) {
      const failure = await failureOf(unready.transact(call))
      assert.instance(failure, BackgroundError)
      assert.is(failure.code, 'MIGRATION')
      assert.is(
        failure.message,
        'Cannot schedule in a transaction: the schema graphile_worker is missing or out of date. Migrate it first, with Background.migrate() or: kretes background migrate'
      )
      assert.instance(failure.cause, Error)
    }
    const schemas = await database.sql`select nspname from pg_namespace where nspname in ('graphile_worker', 'kretes')`
    assert.equal([...schemas], [])
    await unready.transact(transaction => Promise.resolve(transaction.run('create table after ()')))
    assert.is((await database.sql`select from after`).count, 0)
  })

  test('reports a failure of the database once, as the library does, and sends nothing twice', async () => {
    // A sequence counts on when a transaction is rolled back.
    await sql.unsafe(`
      create sequence refusals;
      create function refuse() returns trigger language plpgsql as $$
      begin
        perform nextval('refusals');
        raise exception 'refused with %', new.payload->>'code' using errcode = new.payload->>'code';
      end $$;
      create trigger refuse before insert on graphile_worker._private_jobs
        for each row when (new.payload->>'code' is not null) execute function refuse()`)
    // The last ones as if a trigger of the user's missed something of the user's.
    const codes = ['40001', '40P01', '23514', '0A000', 'XX000', '57014', '25P02', '42P01', '42883', '3F000', '42704']
    for (const code of codes) {
      await bench.transact(async outer => {
        const call = outer.nest(inner => bench.with(inner).schedule({ task: 'SendEmail', payload: { code } }))
        const failure = await failureOf(call)
        assert.not.instance(failure, BackgroundError)
        assert.match(`${failure.message} ${failure.cause}`, `refused with ${code}`)
        await bench.with(outer).schedule({ task: 'SendEmail', key: `refused ${code}` })
      })
    }
    assert.equal([...(await sql`select last_value::int as calls from refusals`)], [{ calls: codes.length }])
    assert.equal(
      await bench.keysOf('refused'),
      codes.map(code => `refused ${code}`)
    )
  })

  test('finds the engine under any name', async () => {
    const schema = `it's "the" ? ?? $1 :engine`
    await using owner = createBackground({ connection: bench.database.url, schema })
    await owner.migrate()
    const background = createUnconnected(schema)
    await bench.transact(({ handle }) => background.with(handle).schedule({ task: 'SendEmail', key: '?' }))
    assert.equal([...(await sql`select key from ${sql(schema)}.jobs`)], [{ key: '?' }])
  })

  test('is not where transactions come from', () => {
    assert.ok(bench.pools.length > 0)
    for (const pool of bench.pools) {
      assert.throws(
        () => createUnconnected().with(pool),
        (error: Error) =>
          error instanceof TypeError &&
          /^Cannot schedule in a transaction: the argument is .+, not a transaction\. Pass /.test(error.message)
      )
    }
  })
}
