import { createBackground } from '../../src/background.ts'
import { executeIn } from '../../src/database/connections/session.ts'
import type { Choice, QueueChoice } from '../../src/sql/flow/choice.ts'
import { versionFlags } from '../../src/sql/flow/versions.ts'
import { hasDueJobs, nextDueTimes } from '../../src/sql/worker/due.ts'
import { findUnknownTasks } from '../../src/sql/worker/unknown-tasks.ts'
import { choiceOf } from '../helpers/choice.ts'
import { createDatabase } from '../helpers/database.ts'
import { randomFrom } from '../helpers/random.ts'
import { assert, suite } from '../helpers/suite.ts'

const times = suite('nextDueTimes()')
const due = suite('hasDueJobs()')
const unknown = suite('findUnknownTasks()')

const { sql, url } = await createDatabase()
const background = createBackground({ connection: url })
await background.migrate()
await background.close()
const execute = executeIn(sql)
const SCHEMA = 'graphile_worker'

for (const { before } of [times, due, unknown]) {
  before.each(() => sql`truncate graphile_worker._private_jobs, graphile_worker._private_job_queues, kretes.paused`)
}

/** What a worker may take: jobs of the tasks A and B. */
const CHOICE = choiceOf('A', 'B')

function taking(kind: QueueChoice['kind'], ...names: string[]): Choice {
  return { ...CHOICE, queues: { kind, names } }
}

interface Added {
  readonly task?: string
  readonly queue?: string | null
  readonly priority?: number
  readonly version?: number
}

/** Adds a job that is due in so many seconds. */
async function add(seconds: number, { task = 'A', queue = null, priority = 0, version }: Added = {}): Promise<void> {
  const flags = version === undefined ? null : versionFlags(version)
  await sql`
    select graphile_worker.add_job(${task}::text, queue_name => ${queue}::text, priority => ${priority}::int,
      run_at => now() + ${seconds}::float8 * interval '1 second', flags => ${flags}::text[])`
}

/** In how many tens of seconds the next jobs come due, within two hours. */
async function tens(choice: Choice = CHOICE): Promise<number[]> {
  const { jobs } = await nextDueTimes(execute, SCHEMA, choice, 7_200_000)
  return jobs.map(ms => Math.ceil(ms / 10_000))
}

async function pause(kind: string, name: string): Promise<void> {
  await sql`insert into kretes.paused (kind, name, paused_by) values (${kind}, ${name}, 'me')`
}

times('finds those of all tasks, priorities and queues that the worker takes, in order', async () => {
  const seed = Number(process.env.KRETES_TEST_SEED ?? Math.floor(Math.random() * 1e9))
  const random = randomFrom(seed)
  const pick = <T>(...items: readonly T[]): T => items[Math.floor(random() * items.length)]!
  const expected: number[] = []
  for (let n = 1; n <= 80; n++) {
    const job = {
      task: pick('A', 'B', 'C'),
      queue: pick(null, null, 'one', 'two'),
      priority: pick(-5, 0, 0, 3, 100),
      version: pick(undefined, undefined, 2)
    }
    await add(n * 10, job)
    const isOurs = job.task !== 'C' && job.queue !== 'two' && (job.version === undefined || job.task === 'B')
    if (isOurs) expected.push(n)
  }
  const choice = { ...taking('except', 'two'), versions: { A: 1, B: 2 } }
  assert.equal(await tens(choice), expected, `with the seed ${seed}`)
})

times('leaves out what is paused, or in a queue that it does not take or that is held', async () => {
  await add(10)
  await add(20, { task: 'B' })
  await add(30, { queue: 'one' })
  await add(40, { queue: 'two', task: 'B' })
  assert.equal(await tens(), [1, 2, 3, 4])
  assert.equal(await tens(taking('none')), [1, 2])
  assert.equal(await tens(taking('only', 'two', 'three')), [4])
  assert.equal(await tens(taking('except', 'two')), [1, 2, 3])
  assert.equal(await tens(choiceOf('B')), [2, 4])
  assert.equal(await tens(choiceOf('None')), [])
  await pause('task', 'A')
  assert.equal(await tens(), [2, 4])
  await pause('queue', 'two')
  assert.equal(await tens(), [2])
  assert.equal(await tens(taking('only', 'two')), [])
  await pause('all', '')
  assert.equal(await tens(), [])
  await sql`delete from kretes.paused`
  await sql`update graphile_worker._private_job_queues set locked_at = now(), locked_by = 'x' where queue_name = 'one'`
  assert.equal(await tens(), [1, 2, 4])
})

times('finds a job behind many that are due much later or already, of whatever task and priority', async () => {
  await add(86_400)
  await add(-3_600, { priority: 1 })
  await sql`
    insert into graphile_worker._private_jobs (task_id, payload, run_at, priority)
    select task_id, payload, run_at, priority from graphile_worker._private_jobs, generate_series(1, 5000)`
  await add(10, { priority: 9 })
  await add(20, { task: 'B' })
  assert.equal(await tens(), [1, 2])
})

due('tells whether a job is due that the worker may take', async () => {
  const has = (choice: Choice = CHOICE): Promise<boolean> =>
    hasDueJobs(execute, SCHEMA, { worker: 'me', choice, without: [] })
  assert.is(await has(), false)
  await add(60)
  await add(-1, { task: 'C' })
  assert.is(await has(), false)
  await add(-1, { queue: 'one', version: 3 })
  assert.is(await has(), false)
  const newer = { ...CHOICE, versions: { A: 3 } }
  assert.is(await has(newer), true)
  assert.equal(
    [
      await has({ ...newer, queues: { kind: 'none', names: [] } }),
      await has({ ...newer, queues: { kind: 'only', names: ['one'] } })
    ],
    [false, true]
  )
  assert.is(await has({ ...newer, queues: { kind: 'except', names: ['one'] } }), false)
  for (const [kind, name] of [
    ['task', 'A'],
    ['queue', 'one'],
    ['all', '']
  ] as const) {
    await pause(kind, name)
    assert.is(await has(newer), false, kind)
    await sql`delete from kretes.paused`
  }
  await pause('task', 'one')
  await pause('queue', 'A')
  assert.is(await has(newer), true)
  await add(-1)
  assert.is(await has(taking('only', 'one')), false)
  assert.is(await has(taking('none')), true)
  await sql`update graphile_worker._private_job_queues set locked_at = now(), locked_by = 'other'`
  assert.is(await has({ ...newer, queues: { kind: 'only', names: ['one'] } }), false)
  await sql`update graphile_worker._private_job_queues set locked_by = 'me'`
  assert.is(await has({ ...newer, queues: { kind: 'only', names: ['one'] } }), true)
})

unknown('finds tasks of due jobs behind many jobs of other tasks, with and without a queue', async () => {
  await add(-60)
  await sql`
    insert into graphile_worker._private_jobs (task_id, payload, run_at)
    select task_id, payload, run_at from graphile_worker._private_jobs, generate_series(1, 5000)`
  await add(-1, { task: 'C' })
  await add(-1, { task: 'D', queue: 'one' })
  await add(60, { task: 'E' })
  await add(60, { task: 'F', queue: 'one' })
  assert.equal(await findUnknownTasks(execute, SCHEMA, ['A']), ['C', 'D'])
  assert.equal(await findUnknownTasks(execute, SCHEMA, []), ['A', 'C', 'D'])
  await sql`insert into kretes.workers (id, host, pid, concurrency, tasks) values ('w', 'h', 1, 1, '{C}')`
  assert.equal(await findUnknownTasks(execute, SCHEMA, ['A']), ['D'])
  await sql`update kretes.workers set beat_at = now() - interval '2 minutes'`
  assert.equal(await findUnknownTasks(execute, SCHEMA, ['A', 'D']), ['C'])
})
