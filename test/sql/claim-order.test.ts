import { choiceOf } from '../helpers/choice.ts'
import { randomFrom } from '../helpers/random.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createClaiming } from './claiming.ts'

const test = suite('the order of claimJobs()')

const { sql, claim, clear } = await createClaiming()
await sql`insert into graphile_worker._private_tasks (identifier) values ('Third'), ('Paused')`

/** The tasks of the worker, of which one is paused. */
const KNOWN = ['Known', 'Other', 'Third', 'Paused']
const TASKS = [...KNOWN, 'Unknown']

test('is that of priority, then of time, then of number, over all tasks, with an equal share for each free queue', async () => {
  const seed = Number(process.env.KRETES_TEST_SEED ?? Math.floor(Math.random() * 1e9))
  const random = randomFrom(seed)
  for (let round = 0; round < 20; round++) {
    await clear()
    // In some rounds, a task or a queue is paused.
    const pausedTask = random() < 0.5 ? 'Paused' : null
    const pausedQueue = random() < 0.5 ? 'queue 3' : null
    for (const [kind, name] of [
      ['task', pausedTask],
      ['queue', pausedQueue]
    ]) {
      if (name) await sql`insert into kretes.paused (kind, name, paused_by) values (${kind!}, ${name}, 'me')`
    }
    const jobs = Array.from({ length: 60 }, (_, n) => ({
      n,
      queue: random() < 0.6 ? `queue ${Math.floor(random() * 8)}` : null,
      priority: Math.floor(random() * 3),
      minutes: Math.floor(random() * 40) - 35,
      task: TASKS[Math.floor(random() * TASKS.length)]!,
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
    const held = new Set<string>(pausedQueue ? [pausedQueue] : [])
    for (const { n, queue, isRunning, isOver } of jobs) {
      if (!isRunning || isOver || queue === null || held.has(queue)) continue
      held.add(queue)
      await sql`update graphile_worker._private_jobs set locked_at = now(), locked_by = 'other' where id = ${ids[n]!}`
      await sql`
        update graphile_worker._private_job_queues set locked_at = now(), locked_by = 'other' where queue_name = ${queue}`
    }
    const waiting = jobs
      .filter(({ task, minutes, isOver, queue }) => {
        const isRunnable = KNOWN.includes(task) && task !== pausedTask
        return isRunnable && minutes <= 0 && !isOver && !(queue && held.has(queue))
      })
      .toSorted((a, b) => a.priority - b.priority || a.minutes - b.minutes || a.n - b.n)
    const front = waiting.slice(0, 15)
    const free = front.filter(({ queue }) => queue === null)
    const queues = new Set(front.flatMap(({ queue }) => queue ?? []))
    const share = Math.max(1, Math.floor(15 / queues.size))
    const shares = [...queues].flatMap(name => waiting.filter(({ queue }) => queue === name).slice(0, share))
    const expected = waiting.filter(job => free.includes(job) || shares.includes(job))
    const claimed = await claim(15, undefined, { choice: choiceOf(...KNOWN) })
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
