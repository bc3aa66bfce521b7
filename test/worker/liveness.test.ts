import { createBackground } from '../../src/background.ts'
import { peerTimings } from '../../src/rules/timings.ts'
import type { TaskContext } from '../../src/task.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { countJobs, createRecorder, fill, lookingForLocks, work } from './work.ts'

const test = suite('a worker among others')
Object.assign(peerTimings, { beatEveryMs: 200, staleAfterMs: 1_000, lostAfterMs: 1_000, returnMs: 2_000 })

test('registers before it fetches, holding its lock, and leaves no trace when it stops', async () => {
  const database = await createDatabase()
  const { sql } = database
  const gate = Promise.withResolvers<void>()
  const worker = await work(database, { tasks: { Wait: () => gate.promise }, concurrency: 4 })
  await fill(database, 'Wait', 1)
  await until(() => worker.running === 1)
  const rows = await sql`
    select workers.concurrency, workers.pid, jobs.locked_by = workers.id as is_holder, exists (
      select from pg_locks join pg_stat_activity using (pid)
      where locktype = 'advisory' and objid = workers.lock_id and application_name = 'kretes worker lock'
        and datname = ${database.name}
    ) as is_locked
    from kretes.workers, graphile_worker.jobs`
  assert.equal([...rows], [{ concurrency: 4, pid: process.pid, is_holder: true, is_locked: true }])
  gate.resolve()
  await worker.stop()
  assert.is((await sql`select from kretes.workers`).length, 0)
})

test('gives the jobs and queues of a dead worker to others, at no cost of an attempt', async () => {
  const database = await prepared()
  await fill(database, 'Note', 2)
  await fill(database, 'Note', 2, { queue: 'one' })
  await pretendDead(database, 'worker-dead')
  const logger = createRecorder()
  const attempts: number[] = []
  const Note = (_: object, { attempt }: TaskContext): void => void attempts.push(attempt)
  await work(database, { tasks: { Note }, logger })
  await until(async () => (await countJobs(database)) === 0)
  assert.equal(attempts, [1, 1, 1, 1])
  const [lost] = logger.of('worker.lost')
  assert.equal([lost?.level, lost?.fields.worker, lost?.fields.rescued], ['warn', 'worker-dead', 3])
  assert.is((await database.sql`select from kretes.workers where id = 'worker-dead'`).length, 0)
})

test('marks a job of a dead worker before it runs it, and no other job', async () => {
  const database = await prepared()
  await fill(database, 'Note', 1)
  await pretendDead(database, 'worker-dead')
  const marks: unknown[] = []
  const Note = async (_: object, { job }: TaskContext): Promise<void> => {
    const [row] = await database.sql`
      select (flags ? 'kretes:started') is true as is_marked from graphile_worker._private_jobs where id = ${job.id}`
    marks.push(row?.is_marked)
  }
  await work(database, { tasks: { Note } })
  await until(() => marks.length === 1)
  await fill(database, 'Note', 1)
  await until(() => marks.length === 2)
  assert.equal(marks, [true, false])
})

test('gives them to others without a ledger, though nobody has made room there for a week', async () => {
  const database = await prepared()
  const { sql } = database
  await fill(database, 'Note', 2)
  await pretendDead(database, 'worker-dead')
  const partitions =
    await sql`select inhrelid::regclass::text as name from pg_inherits where inhparent = 'kretes.ledger'::regclass`
  for (const { name } of partitions) await sql`drop table ${sql.unsafe(name)}`
  const logger = createRecorder()
  let ran = 0
  await work(database, { tasks: { Note: () => void ran++ }, logger, ledger: false })
  await until(() => ran === 2)
  assert.equal(logger.of('worker.lost')[0]?.fields.rescued, 2)
  assert.is(logger.of('worker.rescue-failed').length, 0)
})

test('is none the worse for a dead one whose jobs it cannot give to others, and says so once', async () => {
  const database = await prepared()
  const { sql } = database
  await pretendDead(database, 'worker-a')
  await pretendDead(database, 'worker-b')
  await sql`create sequence tries`
  await sql`
    create function refuse() returns trigger language plpgsql as $$ begin
      if old.id <> 'worker-a' then return old; end if;
      perform nextval('tries');
      raise exception 'not this one';
    end $$`
  await sql`create trigger refuse before delete on kretes.workers for each row execute function refuse()`
  const logger = createRecorder()
  let ran = 0
  await work(database, { tasks: { Note: () => void ran++ }, logger })
  await until(async () => ((await sql`select last_value from tries`)[0]?.last_value ?? 0) >= 3)
  await until(() => logger.of('worker.lost').some(({ fields }) => fields.worker === 'worker-b'))
  const failed = logger.of('worker.rescue-failed').filter(({ level }) => level === 'error')
  assert.equal(
    failed.map(({ fields }) => fields.worker),
    ['worker-a']
  )
  assert.match(failed[0]?.message ?? '', /^Cannot rescue the jobs of a lost worker, .+: .*not this one/)
  assert.not.ok(logger.lines.some(({ message }) => message.startsWith('Cannot send a heartbeat')))
  await fill(database, 'Note', 1)
  await until(() => ran === 1)
})

test('fetches nothing while it cannot beat, and afterwards waits for its peers to come back', async () => {
  const database = await prepared()
  const { sql } = database
  const { returnMs } = peerTimings
  onceDone(() => Object.assign(peerTimings, { returnMs }))
  peerTimings.returnMs = 3_600_000
  const logger = createRecorder()
  let ran = 0
  await work(database, { tasks: { Note: () => void ran++ }, logger })
  await register(database, 'worker-a', { beatAgo: '1 minute' })
  await until(() => logger.of('worker.lost').length === 1)
  await sql`
    create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no beat'; end $$`
  await sql`create trigger refuse before update on kretes.workers for each row execute function refuse()`
  const failures = (): number =>
    logger.lines.filter(({ message }) => /^Cannot send a heartbeat: .*no beat/.test(message)).length
  await until(() => failures() > 0)
  await fill(database, 'Note', 1)
  const before = failures()
  await until(() => failures() > before + 3)
  assert.is(ran, 0)
  await sql`drop trigger refuse on kretes.workers`
  await until(() => ran === 1)
  await register(database, 'worker-b', { beatAgo: '1 minute' })
  const beat = async (): Promise<string> =>
    (await sql<{ at: string }[]>`select max(beat_at)::text as at from kretes.workers`)[0]?.at ?? ''
  for (let beats = 0; beats < 3; beats++) {
    const last = await beat()
    await until(async () => (await beat()) !== last)
  }
  assert.is((await sql`select from kretes.workers where id = 'worker-b'`).length, 1)
  peerTimings.returnMs = returnMs
})

test('leaves alone what a process has locked that is no worker of ours', async () => {
  const database = await prepared()
  const { sql } = database
  await fill(database, 'Note', 1)
  await sql`
    update graphile_worker._private_jobs
    set locked_by = 'somebody-else', locked_at = now() - interval '1 hour', attempts = 1`
  await pretendDead(database, 'worker-dead')
  const logger = createRecorder()
  await work(database, { tasks: { Note: () => {} }, logger })
  await until(() => logger.of('worker.lost').length === 1)
  const [job] = await sql`select locked_by, attempts from graphile_worker.jobs`
  assert.equal({ ...job }, { locked_by: 'somebody-else', attempts: 1 })
})

test('leaves a living worker the job that takes it more than four hours, and frees what a stranger has held as long', async () => {
  const database = await prepared()
  const { sql } = database
  await fill(database, 'Long', 1)
  await fill(database, 'Long', 1, { queue: 'long' })
  // Its next beat is far off, and it is not taken for dead.
  await register(database, 'worker-busy', { beatAgo: '-1 hour' })
  await lockAll(database, 'worker-busy', '5 hours')
  await fill(database, 'Short', 1)
  await fill(database, 'Short', 1, { queue: 'short' })
  await lockAll(database, 'stranger', '5 hours')
  await fill(database, 'Shorter', 1)
  await fill(database, 'Shorter', 1, { queue: 'shorter' })
  await lockAll(database, 'another stranger', '3 hours')
  const ran: string[] = []
  const tasks = {
    Long: () => void ran.push('Long'),
    Short: () => void ran.push('Short'),
    Shorter: () => void ran.push('Shorter')
  }
  await lookingForLocks(() => work(database, { tasks, pollInterval: 100 }))
  await until(() => ran.length >= 2)
  // All is freed by one statement: what is held now was left alone.
  const jobs = await sql`
    select task_identifier as task, jobs.locked_by as by, queues.locked_by as queue
    from graphile_worker.jobs left join graphile_worker._private_job_queues queues using (queue_name)
    where jobs.locked_by in ('worker-busy', 'stranger', 'another stranger')
    order by jobs.id`
  assert.equal(
    jobs.map(job => ({ ...job })),
    [
      { task: 'Long', by: 'worker-busy', queue: null },
      { task: 'Long', by: 'worker-busy', queue: 'worker-busy' },
      { task: 'Shorter', by: 'another stranger', queue: null },
      { task: 'Shorter', by: 'another stranger', queue: 'another stranger' }
    ]
  )
  assert.equal(ran, ['Short', 'Short'])
})

test('does not take one for dead that is silent and holds its lock', async () => {
  const database = await prepared()
  const { sql } = database
  await pretendDead(database, 'worker-dead')
  await pretendDead(database, 'worker-silent')
  const held = Promise.withResolvers<void>()
  const holding = sql.begin(async transaction => {
    await transaction`
      select pg_advisory_xact_lock(${0x6b726574}, lock_id) from kretes.workers where id = 'worker-silent'`
    await held.promise
  })
  const logger = createRecorder()
  await work(database, { tasks: { Note: () => {} }, logger })
  await until(() => logger.of('worker.lost').length === 1)
  assert.is((await sql`select from kretes.workers where id = 'worker-silent'`).length, 1)
  held.resolve()
  await holding
  await until(() => logger.of('worker.lost').length === 2)
})

test('notices that it was taken for dead, and goes on under a new name', async () => {
  const database = await createDatabase()
  const { sql } = database
  const logger = createRecorder()
  const aborted: unknown[] = []
  const Wait = (_: object, { signal, attempt }: TaskContext): Promise<void> | undefined =>
    attempt > 1 || aborted.length > 0
      ? undefined
      : new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            aborted.push(signal.reason)
            reject(signal.reason)
          })
        })
  const worker = await work(database, { tasks: { Wait }, logger })
  await fill(database, 'Wait', 1)
  await until(() => worker.running === 1)
  const [before] = await sql`select id from kretes.workers`
  // As a peer would have done that saw neither a beat nor a lock.
  await sql.begin(async transaction => {
    await transaction`delete from kretes.workers`
    await transaction`update graphile_worker._private_jobs set locked_by = null, locked_at = null, attempts = 0`
  })
  await until(() => logger.of('worker.declared-dead').length === 1)
  await until(async () => (await countJobs(database)) === 0)
  assert.match(String(aborted[0]), /declared dead/)
  const [after] = await sql`select id from kretes.workers`
  assert.is.not(after?.id, before?.id)
  await fill(database, 'Wait', 1)
  await until(async () => (await countJobs(database)) === 0)
  assert.equal(await worker.stop(), { unfinished: 0 })
})

async function prepared(): Promise<TestDatabase> {
  const database = await createDatabase()
  await using background = createBackground({ connection: database.url })
  await background.migrate()
  return database
}

/** What a killed worker leaves: an old beat, and all jobs and queues that nobody has locked yet. */
async function pretendDead(database: TestDatabase, id: string): Promise<void> {
  await register(database, id, { beatAgo: '1 minute' })
  await lockAll(database, id, '0 s')
}

async function register({ sql }: TestDatabase, id: string, { beatAgo }: { beatAgo: string }): Promise<void> {
  await sql`
    insert into kretes.workers (id, host, pid, concurrency, beat_at)
    values (${id}, 'nowhere', 1, 10, now() - ${beatAgo}::interval)`
}

/** Locks all jobs and queues that nobody has locked yet. */
async function lockAll({ sql }: TestDatabase, id: string, ago: string): Promise<void> {
  await sql`
    update graphile_worker._private_job_queues set locked_by = ${id}, locked_at = now() - ${ago}::interval
    where locked_by is null`
  await sql`
    update graphile_worker._private_jobs set locked_by = ${id}, locked_at = now() - ${ago}::interval, attempts = 1
    where locked_by is null
      and (job_queue_id is null or id in (select min(id) from graphile_worker._private_jobs group by job_queue_id))`
}
