import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { PermanentError } from '../../src/errors.ts'
import type { Job } from '../../src/job.ts'
import type { TaskContext } from '../../src/task.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { startServer } from '../helpers/server.ts'
import { assert, suite } from '../helpers/suite.ts'
import { endsBefore, until } from '../helpers/until.ts'
import { countJobs, createRecorder, fill, lookingForLocks, work } from './work.ts'

const test = suite('a database that goes away')

test('is a line when it goes and a line when it is back, and nobody is taken for dead', async () => {
  const server = await startServer()
  onceDone(() => server.stop())
  const database = { url: server.url, sql: postgres(server.url, { max: 1, onnotice: () => {} }) } as TestDatabase
  onceDone(() => database.sql.end({ timeout: 1 }))
  const loggers = [createRecorder(), createRecorder(), createRecorder()]
  let done = 0
  const Count = async (): Promise<void> => {
    await sleep(20)
    done++
  }
  await Promise.all(loggers.map(logger => work(database, { tasks: { Count }, logger })))
  await fill(database, 'Count', 300)
  await until(() => done > 30)
  const before = await database.sql`select id from kretes.workers order by id`
  assert.is(before.length, 3)

  for (let round = 1; round <= 2; round++) {
    await server.restart(round === 1 ? 'INT' : 'QUIT')
    for (const logger of loggers) await until(() => logger.of('database.back').length >= round)
  }
  await until(() => done === 300)
  // A worker that has beaten for so long has judged the others.
  const [back] = await database.sql<{ at: Date }[]>`select now() as at`
  await until(
    async () => {
      const beating = await database.sql`
        select from kretes.workers where beat_at > ${back!.at}::timestamptz + interval '18 s'`
      return beating.length === 3
    },
    { intervalMs: 200 }
  )
  const after = await database.sql`select id from kretes.workers order by id`
  assert.equal([...after], [...before])
  for (const logger of loggers) {
    assert.is(logger.of('worker.lost').length + logger.of('worker.declared-dead').length, 0)
    const loud = logger.lines.filter(({ level }) => level === 'warn' || level === 'error')
    assert.equal(
      loud.map(({ fields }) => fields.event),
      logger.of('database.away').map(() => 'database.away')
    )
    assert.is(logger.of('database.away').length, logger.of('database.back').length)
    // One for each time it went, or a few more: who is idle may find out late.
    assert.ok(loud.length <= 8, loud.map(({ message }) => message).join('\n'))
    for (const { message } of loud) {
      assert.match(message, /^The database is unavailable: .+; trying again until it is back$/)
    }
    for (const { message } of logger.of('database.back'))
      assert.match(message, /^The database is back after [\d.]+ (ms|s|min)$/)
  }
  assert.is(done, 300)
})

test('does not hold up the stop of a worker that has no job, though its next fetch waits for the database', async () => {
  const server = await startServer()
  onceDone(() => server.stop())
  const logger = createRecorder()
  const options = { tasks: { Count: () => {} }, logger, pollInterval: 50, shutdownTimeout: 60_000 }
  // The engine's look for old locks waits for the database, too.
  const worker = await lookingForLocks(() => work({ url: server.url } as TestDatabase, options))
  await server.stop()
  // The heartbeat has failed, too, so that a fetch also waits for the worker's lock.
  const failures = (): number => logger.of('database.failed').length
  await until(() => failures() > 20)
  assert.equal(await endsBefore(5_000, () => worker.stop()), { unfinished: 0 })
})

test('only for writing, as with a full disk, costs no result', async () => {
  const database = await createDatabase()
  const { sql } = database
  const logger = createRecorder()
  const gate = Promise.withResolvers<void>()
  const ran: string[] = []
  const Note = async (_: object, { job }: TaskContext): Promise<void> => {
    ran.push(job.id)
    await gate.promise
  }
  const worker = await work(database, { tasks: { Note }, logger })
  await fill(database, 'Note', 10)
  await until(() => worker.running === 10)
  // The disk itself is not filled: the server says what it would say.
  await sql`create sequence refusals`
  await sql`
    create function refuse() returns trigger language plpgsql as $$
      begin perform nextval('refusals'); raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$`
  await sql`
    create trigger refuse before insert or update or delete on graphile_worker._private_jobs
    for each statement execute function refuse()`
  gate.resolve()
  await until(() => logger.of('database.away').length === 1)
  await until(() => worker.running === 0)
  // A sequence keeps what a transaction that fails has counted.
  const refusals = async (): Promise<number> => Number((await sql`select last_value as count from refusals`)[0]?.count)
  const before = await refusals()
  await until(async () => (await refusals()) >= before + 2)
  await sql`drop trigger refuse on graphile_worker._private_jobs`
  await until(async () => (await countJobs(database)) === 0)
  assert.is(ran.length, 10)
  assert.match(logger.of('database.away')[0]?.message ?? '', /No space left on device \(53100\)/)
  // The last of those that tried again may hear of it a little later.
  await until(() => logger.of('database.back').length > 0)
  assert.is(logger.of('database.back').length, 1)
  assert.is(logger.lines.filter(({ level }) => level === 'warn' || level === 'error').length, 1)
})

test('only for what ends jobs, for whatever reason, costs no result and no attempt', async () => {
  const database = await createDatabase()
  const { sql } = database
  const logger = createRecorder()
  const gate = Promise.withResolvers<void>()
  const ran: string[] = []
  const note = async (job: Job): Promise<void> => {
    ran.push(job.id)
    await gate.promise
  }
  const tasks = {
    Note: (_: object, { job }: TaskContext) => note(job),
    Fail: async (_: object, { job }: TaskContext) => {
      await note(job)
      throw new PermanentError('it fails')
    }
  }
  const worker = await work(database, { tasks, logger, concurrency: 8 })
  await fill(database, 'Note', 2)
  await fill(database, 'Note', 2, { queues: 2 })
  await fill(database, 'Fail', 4)
  await until(() => worker.running === 8)
  // Nothing that a driver or the engine would try again.
  await sql`
    create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not today'; end $$`
  await sql`
    create trigger refuse before update or delete on graphile_worker._private_jobs
    for each statement execute function refuse()`
  gate.resolve()
  await until(() => logger.of('worker.blocked').length >= 1)
  await sql`drop trigger refuse on graphile_worker._private_jobs`
  await until(async () => {
    const [row] = await sql`
      select count(*)::int as left, count(*) filter (where attempts = max_attempts and locked_at is null)::int as failed
      from graphile_worker.jobs`
    return row?.left === 4 && row.failed === 4
  })
  assert.is(ran.length, 8)
  assert.match(logger.of('worker.blocked')[0]?.message ?? '', /not today/)
})

test('only for whoever lingers in a transaction, does not concern the worker', async () => {
  const database = await createDatabase()
  const { sql } = database
  const first = await work(database, { tasks: { Count: () => {} }, once: true })
  await first.finished
  await sql`alter database ${sql(database.name)} set idle_in_transaction_session_timeout = '1ms'`
  let done = 0
  const worker = await work(database, { tasks: { Count: () => void done++ } })
  await fill(database, 'Count', 200, { queues: 10 })
  await until(() => done === 200)
  await until(async () => (await countJobs(database)) === 0)
  assert.equal(await worker.stop(), { unfinished: 0 })
})

test('in the midst of a migration is an error, and the next start finds its way', async () => {
  const database = await createDatabase({ isEmpty: true })
  const { sql } = database
  await sql.begin(async transaction => {
    // The migration waits for its turn, and is cut off.
    await transaction`select pg_advisory_xact_lock(${0x6b726574}, ${0x6d696772})`
    const starting = work(database, { tasks: { Count: () => {} } })
    starting.catch(() => {})
    await until(async () => {
      const cut = await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = ${database.name} and application_name = 'kretes migrate' and wait_event_type = 'Lock'`
      return cut.length > 0
    })
    const error = await starting.then(
      () => undefined,
      reason => reason
    )
    assert.is(error?.code, 'DATABASE_UNAVAILABLE')
  })
  const worker = await work(database, { tasks: { Count: () => {} } })
  assert.equal(await worker.stop(), { unfinished: 0 })
})
