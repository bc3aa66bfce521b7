import type { ReasonCode } from '../../src/diagnose/reason.ts'
import type { Why } from '../../src/diagnose/why.ts'
import { Queue } from '../../src/queue.ts'
import type { JobReference } from '../../src/reference.ts'
import { defineTask } from '../../src/task.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { hasRun, noting, POLL, type Prepared, prepare, registered, stopWorkers, work } from './prepare.ts'

const test = suite('why a job waits')
test.after.each(stopWorkers)
const one = Queue.for('one')

test('its task, its queue or everything is paused, whether it is due or not', async () => {
  const { background } = await prepare()
  const due = await background.schedule({ task: 'Count', queue: one })
  const later = await background.schedule({ task: 'Count', queue: one, delay: '2h' })
  for (const [target, beginning, command] of [
    [{ all: true }, 'Everything is', '--all'],
    [{ task: 'Count' }, 'Its task Count is', '--task Count'],
    [{ queue: 'one' }, 'Its queue one is', '--queue one']
  ] as const) {
    const { since } = await background.pause({ ...target, by: 'Ada', reason: 'Too much mail' })
    const [reason] = (await background.why(due)).reasons
    assert.equal([reason?.code, reason?.at], ['paused', since])
    assert.is(
      reason?.message,
      `${beginning} paused since ${since.toISOString()}, by Ada: Too much mail. Resume it: kretes background resume ${command}`
    )
    assert.equal(codesOf(await background.why(later)), ['scheduled', 'paused', 'no-worker'])
    await background.pause({ ...target, by: 'Ada' })
    assert.match((await background.why(due)).reasons[0]!.message, `${since.toISOString()}, by Ada. Resume it: `)
    await background.resume(target)
    assert.equal(codesOf(await background.why(due)), ['no-worker'])
  }
})

test('several pauses hold it back, and each is told; others are not', async () => {
  const { background } = await prepare()
  await background.pause({ queue: 'Count' })
  await background.pause({ task: 'one' })
  await background.pause({ task: 'Other' })
  const job = await background.schedule({ task: 'Count', queue: one })
  const free = await background.schedule({ task: 'Count' })
  assert.equal(codesOf(await background.why(job)), ['no-worker'])
  for (const target of [{ queue: 'one' }, { task: 'Count' }, { all: true }] as const) await background.pause(target)
  assert.equal(codesOf(await background.why(job)).slice(0, 3), ['paused', 'paused', 'paused'])
  assert.is(codesOf(await background.why(free)).filter(code => code === 'paused').length, 2)
})

test('all live workers have an older version of its task', async () => {
  const { database, background } = await prepare()
  const mail = (version?: number) => defineTask({ name: 'Mail', ...(version && { version }), run: () => {} })
  const job = await background.schedule({ task: mail(3) })
  await using first = await work(database, { tasks: { Mail: mail() }, ...POLL })
  await first.ready
  await registered(database)
  const alone = await whenFirst(background, job, 'newer-version')
  assert.match(
    alone.reasons[0]!.message,
    /^Version 3 of Mail has scheduled it, and the live workers have no version: 1 worker\. Start a worker with the newer code$/
  )
  await using _second = await work(database, { tasks: { Mail: mail(2) }, ...POLL })
  await registered(database, 2)
  const older = await background.why(job)
  assert.equal(codesOf(older), ['newer-version'])
  assert.match(older.reasons[0]!.message, /the live workers have version 2 at most: 2 workers\./)
  const later = await background.schedule({ task: mail(3), delay: '1h' })
  assert.equal(codesOf(await background.why(later)), ['scheduled', 'newer-version'])
  await using _third = await work(database, { tasks: { Mail: mail(3) }, ...POLL })
  await until(async () => (await background.why(job)).reasons[0]?.code === 'ended')
  assert.equal(codesOf(await background.why(later)), ['scheduled'])
})

test('no live worker that knows its task takes its queue, or jobs without one', async () => {
  const { database, background } = await prepare()
  const { tasks } = noting('Count', 'Other')
  const queued = await background.schedule({ task: 'Count', queue: one })
  const free = await background.schedule({ task: 'Count' })
  for (const [queues, takesQueue, takesFree] of [
    [['two'], false, false],
    [['one', 'two'], true, false],
    [false, false, true],
    [{ except: ['one'] }, false, true],
    [{ except: ['two'] }, true, true]
  ] as const) {
    // The worker cannot take it meanwhile.
    await background.pause({ all: true })
    await using worker = await work(database, { tasks, queues: queues as never, ...POLL })
    await worker.ready
    const reason = async (job: JobReference): Promise<unknown> => {
      const { reasons } = await background.why(job)
      return reasons.find(({ code }) => code === 'queue-not-taken')?.message
    }
    assert.is(
      await reason(queued),
      takesQueue
        ? undefined
        : 'No live worker that knows Count takes jobs of the queue one: 1 worker, by the option queues',
      JSON.stringify(queues)
    )
    assert.is(
      await reason(free),
      takesFree
        ? undefined
        : 'No live worker that knows Count takes jobs without a queue: 1 worker, by the option queues',
      JSON.stringify(queues)
    )
    await worker.stop()
  }
  await background.resume({ all: true })
  await using _worker = await work(database, { tasks, only: ['Other'], ...POLL })
  assert.equal(codesOf(await whenFirst(background, free, 'unknown-task')), ['unknown-task'])
})

test('counts only jobs before it that may run now', async () => {
  const { database, background } = await prepare()
  await database.sql`
    insert into kretes.workers (id, host, pid, concurrency, tasks, beat_at)
    values ('busy', 'elsewhere', 1, 10, '{Count,Held}', now() + interval '1 hour')`
  const add = async (task: string, queue: string | null, count: number): Promise<string[]> => {
    const rows = await database.sql<{ id: string }[]>`
      select (graphile_worker.add_job(${task}::text, queue_name => ${queue}::text, run_at => now() - interval '1 minute')).id::text as id
      from generate_series(1, ${count}::int)`
    return rows.map(({ id }) => id)
  }
  await add('Held', null, 3)
  await add('Held', 'one', 4)
  await add('Count', 'two', 5)
  await add('Count', 'one', 1)
  const [first] = await add('Count', null, 2)
  const [job] = await add('Count', null, 1)
  const [queued] = await add('Count', 'one', 1)
  const before = async (id: string, code: ReasonCode): Promise<unknown> =>
    (await background.why(id)).reasons.find(reason => reason.code === code)?.count
  assert.is(await before(job!, 'behind-others'), 15)
  assert.is(await before(queued!, 'behind-in-queue'), 5)
  const newer = defineTask({ name: 'Count', version: 2, run: () => {} })
  for (const queue of [null, one, Queue.for('two')]) await background.schedule({ task: newer, queue, priority: -1 })
  assert.is(await before(job!, 'behind-others'), 15)
  await database.sql`update kretes.workers set task_versions = '{"Count": 2}'`
  assert.is(await before(job!, 'behind-others'), 18)
  await database.sql`delete from graphile_worker._private_jobs where priority = -1`
  await background.pause({ task: 'Held' })
  assert.is(await before(job!, 'behind-others'), 8)
  assert.is(await before(queued!, 'behind-in-queue'), 1)
  await background.pause({ queue: 'two' })
  assert.is(await before(job!, 'behind-others'), 3)
  await background.pause({ queue: 'one' })
  const { reasons } = await background.why(job!)
  assert.equal([reasons[0]?.count, reasons[0]?.job], [2, first])
})

test('is told by a worker that is back: the end of a pause ends the reason', async () => {
  const { database, background } = await prepare()
  const { ran, tasks } = noting('Count')
  await background.pause({ task: 'Count' })
  const job = await background.schedule({ task: 'Count' })
  await using worker = await work(database, { tasks, ...POLL })
  await worker.ready
  assert.equal(codesOf(await whenFirst(background, job, 'paused')), ['paused'])
  await background.resume({ task: 'Count' })
  await hasRun(ran, 1)
  await whenFirst(background, job, 'ended')
})

function codesOf({ reasons }: Why): ReasonCode[] {
  return reasons.map(({ code }) => code)
}

/** Waits until that is the first reason. */
function whenFirst(background: Prepared['background'], job: JobReference, code: ReasonCode): Promise<Why> {
  return until(
    async () => {
      const why = await background.why(job)
      return why.reasons[0]?.code === code && why
    },
    { what: code }
  ) as Promise<Why>
}
