import { createBackground } from '../../src/background.ts'
import { Limit, type Limits } from '../../src/limit/limit.ts'
import { claimLanes, releaseLanes } from '../../src/sql/flow/lanes.ts'
import { defineTask } from '../../src/task.ts'
import { payloads, perKey } from '../flow/limits/slots.ts'
import { POLL, registered, work } from '../flow/prepare.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'

const test = suite('two claims of jobs with limits at once')

const database = await createDatabase()
const { sql } = database
const background = createBackground({ connection: database.url })
onceDone(() => background.close())
const taskOf = (name: string, limit: Limits<object>) => defineTask({ name, limit, run: () => {} })
const shared = Limit.for('shared', { concurrency: 3 })
const keyed = Limit.for('keyed', { concurrency: 3, per: perKey })
const tasks = {
  Charge: taskOf('Charge', shared),
  Refund: taskOf('Refund', shared),
  Read: taskOf('Read', keyed),
  Write: taskOf('Write', keyed),
  Total: taskOf('Total', [{ concurrency: 3 }, { concurrency: 2, per: perKey }])
}
// It registers the limits.
const worker = await work(database, { tasks, ...POLL })
await registered(database)
await worker.stop()

test.before.each(async () => {
  await sql`delete from graphile_worker._private_jobs`
  await sql`delete from kretes.leases`
})

type Session = Pick<TestDatabase['sql'], 'unsafe'>

/** Schedules ten jobs of a task and a key. Returns their lane. */
async function add(task: keyof typeof tasks, key = 'a'): Promise<number> {
  await background.scheduleMany({ task: tasks[task], payloads: payloads(10, key) })
  const [row] = await sql<{ lane: number }[]>`select max(job_queue_id) as lane from graphile_worker._private_jobs`
  return row!.lane
}

/** Claims jobs of lanes. Returns of which lane each job is. */
async function claim(session: Session, worker: string, lanes: readonly number[]): Promise<number[]> {
  const choice = {
    tasks: Object.keys(tasks),
    versions: {},
    queues: { kind: 'except', names: [] },
    limited: []
  } as const
  const request = {
    worker,
    lanes,
    choice,
    slots: 10,
    jobs: 100,
    run: 1,
    most: new Map<number, number>(),
    number: 0,
    beginWithinMs: 500
  }
  const { text, values } = claimLanes('graphile_worker', request)
  const rows = await session.unsafe<{ id: string | null; job_queue_id: number }[]>(text, values as never[])
  return rows.filter(({ id }) => id !== null).map(({ job_queue_id }) => job_queue_id)
}

/** Resolves when a statement in the database waits for a row that another one has locked. */
async function awaitedRow(): Promise<void> {
  await until(async () => {
    const waits = await sql`
      select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
    return waits.length > 0
  })
}

for (const [what, first, second] of [
  ['that tasks share', ['Charge', 'a'], ['Refund', 'a']],
  ['for each key that tasks share', ['Read', 'a'], ['Write', 'a']],
  ['of all keys of a task', ['Total', 'a'], ['Total', 'b']]
] as const) {
  test(`do not take more slots together than a limit ${what} has`, async () => {
    const one = await add(first[0], first[1])
    const other = await add(second[0], second[1])
    assert.is.not(one, other)
    let late: Promise<number[]> | undefined
    const early = await sql.begin(async session => {
      const found = await claim(session, 'first', [one])
      late = claim(sql, 'second', [other])
      await awaitedRow()
      return found
    })
    const slots = early.length
    assert.equal(early, Array(slots).fill(one))
    assert.equal(await late, Array(3 - slots).fill(other))
    const [held] = await sql`select sum(slots)::int as slots from kretes.leases where limit_name <> 'key Total'`
    assert.is(held?.slots, 3)
  })
}

test('leave a key to each other that one of them is busy with, and take others', async () => {
  const one = await add('Read', 'a')
  const other = await add('Total', 'b')
  await sql.begin(async session => {
    assert.is((await claim(session, 'first', [one])).length, 3)
    const { text, values } = claimLanes('graphile_worker', {
      worker: 'second',
      lanes: [other],
      choice: { tasks: ['Total'], versions: {}, queues: { kind: 'except', names: [] }, limited: [] },
      slots: 10,
      jobs: 100,
      run: 1,
      most: new Map(),
      number: 0,
      beginWithinMs: 500
    })
    assert.is((await sql.unsafe(text, values as never[])).length, 2)
  })
})

test('get what a release has left', async () => {
  const lane = await add('Charge')
  assert.is((await claim(sql, 'first', [lane])).length, 3)
  assert.is((await claim(sql, 'second', [lane])).length, 0)
  for (const slots of [1, 0]) {
    const { text, values } = releaseLanes('graphile_worker', 'first', [{ id: lane, slots }])
    await sql.unsafe(text, values as never[])
    const found = await claim(sql, 'second', [lane])
    assert.equal(found, Array(slots === 1 ? 2 : 1).fill(lane))
  }
})
