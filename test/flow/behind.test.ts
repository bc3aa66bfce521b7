import { Queue } from '../../src/queue.ts'
import type { TestDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { fill } from '../worker/work.ts'
import { hasRun, noting, POLL, type Prepared, prepare, stopWorkers, work } from './prepare.ts'

const test = suite('a worker behind the backlog of a queue')
test.after.each(stopWorkers)

/** Adds more jobs of the queue `long` than a look at the first jobs of all queues sees. */
async function addBacklog(database: TestDatabase, task: string): Promise<void> {
  await fill(database, task, 1, { queue: 'long' })
  await database.sql`
    insert into graphile_worker._private_jobs (job_queue_id, task_id, payload, run_at)
    select job_queue_id, task_id, payload, run_at from graphile_worker._private_jobs, generate_series(1, 6000)`
}

const BACKLOGS: readonly [what: string, task: string, arrange: (prepared: Prepared) => Promise<unknown>][] = [
  ['that is paused', 'Count', ({ background }) => background.pause({ queue: 'long' })],
  ['whose task is paused', 'Held', ({ background }) => background.pause({ task: 'Held' })],
  ['whose task it does not know', 'Unknown', async () => {}],
  [
    'that another worker holds',
    'Count',
    async ({ database: { sql } }) => {
      await sql`
        insert into kretes.workers (id, host, pid, concurrency, tasks, beat_at)
        values ('other', 'elsewhere', 1, 10, '{Count}', now() + interval '1 hour')`
      await sql`
        update graphile_worker._private_jobs set locked_at = now(), locked_by = 'other'
        where id = (select min(id) from graphile_worker._private_jobs)`
      await sql`update graphile_worker._private_job_queues set locked_at = now(), locked_by = 'other'`
    }
  ]
]

for (const [what, task, arrange] of BACKLOGS) {
  test(`${what} finds the jobs of other queues at its start, when they are scheduled and when they come due`, async () => {
    const prepared = await prepare()
    const { database, background } = prepared
    await addBacklog(database, task)
    await arrange(prepared)
    for (let n = 1; n <= 30; n++)
      await background.schedule({ task: 'Count', payload: { n }, queue: Queue.for(`queue ${n % 10}`) })
    const { ran, tasks } = noting('Count', 'Held')
    await work(database, { tasks, ...POLL })
    await hasRun(ran, 30)
    for (let n = 0; n < 10; n++) {
      const order = ran.flatMap(name => (Number(name.slice(6)) % 10 === n ? Number(name.slice(6)) : []))
      assert.equal(
        order,
        order.toSorted((left, right) => left - right)
      )
    }
    await background.schedule({ task: 'Count', queue: Queue.for('later') })
    await hasRun(ran, 31)
    await background.schedule({ task: 'Count', queue: Queue.for('due'), delay: 700 })
    await background.schedule({ task: 'Count', delay: 300 })
    await hasRun(ran, 33)
    assert.ok(ran.every(name => name.startsWith('Count')))
  })
}

test('that is paused runs once to its end, and runs the backlog in order when the pause ends', async () => {
  const { database, background } = await prepare()
  await fill(database, 'Count', 6_500, { queue: 'long' })
  await fill(database, 'Count', 40, { queues: 20 })
  await fill(database, 'Count', 10)
  await background.pause({ queue: 'long' })
  let ran = 0
  const once = await work(database, { tasks: { Count: () => void ran++ }, once: true, ...POLL })
  await once.finished
  assert.is(ran, 50)
  const order: number[] = []
  await work(database, { tasks: { Count: ({ n }) => void order.push(n) }, ...POLL })
  await background.resume({ queue: 'long' })
  await until(() => order.length === 6_500)
  assert.equal(
    order,
    Array.from({ length: 6_500 }, (_, index) => index + 1)
  )
})
