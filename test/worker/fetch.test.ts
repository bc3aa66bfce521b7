import { createBackground, Queue } from '../../mod.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { awaitedLock } from '../helpers/locks.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { beats, countJobs, fill, work } from './work.ts'

const test = suite('a fetch')

test('runs the task and the queue of the name that a job has, after ids were given anew', async () => {
  const database = await createDatabase()
  const { sql } = database
  const background = createBackground({ connection: database.url })
  onceDone(() => background.close())
  const ran: string[] = []
  const note =
    (name: string) =>
    (_: object, { job }: { job: { task: string; queue: string | null } }) =>
      void ran.push(`${name} as ${job.task} on ${job.queue}`)
  await work(database, { tasks: { ChargeCard: note('ChargeCard'), SendEmail: note('SendEmail') } })
  await background.schedule({ task: 'ChargeCard', queue: Queue.for('first') })
  await until(() => ran.length === 1)
  await until(async () => (await countJobs(database)) === 0)
  // A truncate would lock all these tables at once, in another order than the worker's statements, and could deadlock.
  for (const table of ['_private_jobs', '_private_tasks', '_private_job_queues']) {
    await sql`delete from ${sql(`graphile_worker.${table}`)}`
    await sql`select setval(pg_get_serial_sequence(${`graphile_worker.${table}`}, 'id'), 1, false)`
  }
  await background.schedule({ task: 'SendEmail', queue: Queue.for('second') })
  await background.schedule({ task: 'ChargeCard', queue: Queue.for('first') })
  await until(() => ran.length === 3)
  assert.equal(ran.toSorted(), [
    'ChargeCard as ChargeCard on first',
    'ChargeCard as ChargeCard on first',
    'SendEmail as SendEmail on second'
  ])
})

for (const [how, text] of [
  [
    'that cannot be compressed',
    () => Array.from({ length: 1_000_000 }, () => Math.floor(Math.random() * 36).toString(36)).join('')
  ],
  ['that can', () => 'x'.repeat(1_000_000)]
] as const) {
  test(`takes no more payload at once than a worker can bear, ${how}, and leaves none behind`, async () => {
    const database = await createDatabase()
    const { sql } = database
    const background = createBackground({ connection: database.url })
    onceDone(() => background.close())
    const payloads = Array.from({ length: 40 }, () => ({ text: text() }))
    await background.scheduleMany({ task: 'Large', payloads })
    const gate = Promise.withResolvers<void>()
    let done = 0
    const Large = async (): Promise<void> => {
      await gate.promise
      done++
    }
    const worker = await work(database, {
      tasks: { Large },
      concurrency: 1,
      localQueueSize: 40,
      localQueueTtl: '1m',
      pollInterval: '1m'
    })
    await until(() => worker.running === 1)
    const [held] = await sql<{ count: number }[]>`
      select count(*)::int from graphile_worker.jobs where locked_at is not null`
    assert.ok(held && held.count > 1 && held.count < 20, `${held?.count} jobs`)
    gate.resolve()
    await until(() => done === 40)
  })
}

test('is followed by another at once when it has left payload behind and all its jobs run', async () => {
  const database = await createDatabase()
  const background = createBackground({ connection: database.url })
  onceDone(() => background.close())
  await background.scheduleMany({
    task: 'Large',
    payloads: Array.from({ length: 40 }, () => ({ text: 'x'.repeat(1_000_000) }))
  })
  let done = 0
  await work(database, { tasks: { Large: () => void done++ }, concurrency: 40, pollInterval: '1m' })
  await until(() => done === 40)
})

test('waits for jobs that go back: repeated, their return would give them away while they run', async () => {
  const database = await createDatabase()
  const { sql } = database
  const background = createBackground({ connection: database.url })
  onceDone(() => background.close())
  const gate = Promise.withResolvers<void>()
  const ran: string[] = []
  const worker = await work(database, {
    tasks: {
      Wait: () => gate.promise,
      Count: (_: object, { job }: { job: { id: string } }) => void ran.push(job.id)
    },
    concurrency: 1,
    localQueueTtl: 50
  })
  await sql`
    create function hold() returns trigger language plpgsql as $$ begin
      perform pg_advisory_xact_lock(1);
      return new;
    end $$`
  await sql`
    create trigger hold before update on graphile_worker._private_jobs for each row
    when (new.attempts < old.attempts) execute function hold()`
  await sql.begin(async transaction => {
    // The return waits for this transaction, and the fetch that follows for the return.
    await transaction`select pg_advisory_xact_lock(1)`
    await fill(database, 'Wait', 1)
    await fill(database, 'Count', 3)
    await awaitedLock(sql)
    const late = await background.schedule({ task: 'Count' })
    gate.resolve()
    await until(() => worker.running === 0)
    await beats(database, 2)
    assert.equal(ran, [], `${late.id} was fetched`)
  })
  await until(async () => (await countJobs(database)) === 0)
  assert.is(new Set(ran).size, 4)
  assert.is(ran.length, 4)
})
