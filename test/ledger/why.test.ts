import { createBackground } from '../../src/background.ts'
import type { ReasonCode } from '../../src/diagnose/reason.ts'
import type { Why } from '../../src/diagnose/why.ts'
import { Snooze } from '../../src/errors.ts'
import { Queue } from '../../src/queue.ts'
import type { JobReference } from '../../src/reference.ts'
import { peerTimings } from '../../src/rules/timings.ts'
import { createProgram, TASKS } from '../cli/program.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { work } from '../worker/work.ts'

const test = suite('why a job does not run')
Object.assign(peerTimings, { beatEveryMs: 200, staleAfterMs: 1_000, lostAfterMs: 1_000, returnMs: 2_000 })

test('no worker is running, at once or when its time comes', async () => {
  const { background } = await prepare()
  const job = await background.schedule({ task: 'Note' })
  const why = await background.why(job)
  assert.equal(codesOf(why), ['no-worker'])
  assert.equal([why.job?.id, why.job?.task, why.job?.state, why.job?.queue], [job.id, 'Note', 'waiting', null])
  assert.is(why.reasons[0]?.message, 'No worker is running. Start one: kretes background')
  const later = await background.schedule({ task: 'Note', delay: '2h' })
  const whyLater = await background.why(later.id)
  assert.equal(codesOf(whyLater), ['scheduled', 'no-worker'])
  assert.equal(whyLater.reasons[0]?.at, later.runAt)
  assert.match(whyLater.reasons[0]!.message, /^It is scheduled for \d{4}-.*Z \(in (2 hours|1\.9 hours|120 minutes)\)$/)
})

test('no live worker knows its task', async () => {
  const { database, background } = await prepare()
  await work(database, { tasks: { SendEmail: () => {}, Count: () => {} } })
  const job = await background.schedule({ task: 'SendMail' })
  const { reasons } = await whenFirst(background, job, 'unknown-task')
  assert.equal(reasons[0]?.tasks, ['Count', 'SendEmail'])
  assert.match(
    reasons[0]!.message,
    /^No live worker runs SendMail: 1 worker, with Count, SendEmail\. Did you mean SendEmail\?$/
  )
})

test('it backs off after an error, it is put off, it has failed for good', async () => {
  const { database, background } = await prepare()
  const tasks = {
    Fail: () => {
      throw new RangeError('It broke')
    },
    Nap: () => {
      throw new Snooze('1h')
    }
  }
  await work(database, { tasks, backoff: ['1h'] })
  const failing = await background.schedule({ task: 'Fail', maxAttempts: 3 })
  const napping = await background.schedule({ task: 'Nap' })
  const failed = await background.schedule({ task: 'Fail', maxAttempts: 1 })
  const backing = await whenFirst(background, failing, 'backing-off')
  assert.match(
    backing.reasons[0]!.message,
    /^Attempt 1 of 3 failed, and the next is due at .* \(in .*\): RangeError: It broke$/
  )
  assert.is(backing.job?.state, 'retrying')
  assert.ok(backing.reasons[0]!.at! > new Date(Date.now() + 3_000_000))
  const snoozed = await whenFirst(background, napping, 'snoozed')
  assert.match(snoozed.reasons[0]!.message, /^Its task has put it off until /)
  const spent = await whenFirst(background, failed, 'failed')
  assert.match(
    spent.reasons[0]!.message,
    /^It has failed for good, after attempt 1 of 1: RangeError: It broke\. It will not run again unless/
  )
  assert.equal(codesOf(spent), ['failed'])
})

test('it runs, its queue is held, it stands behind others, all workers are busy', async () => {
  const { database, background } = await prepare()
  const gate = Promise.withResolvers<void>()
  onceDone(() => gate.resolve())
  const worker = await work(database, { tasks: { Wait: () => gate.promise }, concurrency: 1, localQueueSize: 1 })
  const queue = Queue.for('email')
  const [first, second, third] = [
    await background.schedule({ task: 'Wait', queue }),
    await background.schedule({ task: 'Wait', queue }),
    await background.schedule({ task: 'Wait', queue })
  ]
  await until(() => worker.running === 1)
  const running = await whenFirst(background, first, 'running')
  assert.equal([running.job?.state, codesOf(running)], ['running', ['running']])
  const id = running.reasons[0]?.worker
  const held = await background.why(third)
  assert.equal(codesOf(held), ['queue-held', 'behind-in-queue', 'workers-busy'])
  const [holder, before] = held.reasons
  assert.equal([holder?.worker, holder?.job], [id, first.id])
  assert.match(
    holder!.message,
    new RegExp(`^Its queue email is held by worker ${id}, which runs job ${first.id} of it, since `)
  )
  assert.equal([before?.count, before?.job], [1, second.id])
  const parallel = await background.schedule({ task: 'Wait', priority: 5 })
  const next = await background.schedule({ task: 'Wait', priority: 6 })
  // The worker may keep one at hand.
  await until(async () => codesOf(await background.why(next))[0] === 'workers-busy')
  const busy = await background.why(next)
  assert.match(
    busy.reasons[0]!.message,
    /^All workers that know Wait are busy: 1 worker, 1 job at a time; [01] jobs? that could run now comes? before it$/
  )
  assert.ok(['workers-busy', 'fetched'].includes(codesOf(await background.why(parallel))[0]!))
})

test('a worker has fetched it and is busy', async () => {
  const { database, background } = await prepare()
  const gate = Promise.withResolvers<void>()
  onceDone(() => gate.resolve())
  for (let n = 0; n < 5; n++) await background.schedule({ task: 'Wait' })
  await work(database, {
    tasks: { Wait: () => gate.promise },
    concurrency: 1,
    localQueueSize: 5,
    localQueueTtl: 60_000
  })
  const codes = async (): Promise<string> =>
    (await Promise.all([1, 2, 3, 4, 5].map(async id => codesOf(await background.why(String(id)))[0]))).sort().join()
  await until(async () => (await codes()) === 'fetched,fetched,fetched,fetched,running')
  const [reason] = (await Promise.all([1, 2].map(id => background.why(String(id))))).flatMap(({ reasons }) =>
    reasons.filter(({ code }) => code === 'fetched')
  )
  assert.match(reason!.message, /fetched it at .* and has not begun it: it runs 1 of 1 jobs/)
  assert.is(reason?.count, 1)
})

test('its worker was lost, or is none of ours', async () => {
  const { database, background } = await prepare()
  const program = await createProgram(TASKS, { DATABASE_URL: database.url })
  const job = await background.schedule({ task: 'Wait', payload: { file: 'never' } })
  const killed = program.start(['bg'])
  await killed.output(/Wait \d+ {2}started/)
  await whenFirst(background, job, 'running')
  killed.kill('SIGKILL')
  await killed.exit
  const lost = await whenFirst(background, job, 'worker-lost')
  assert.match(
    lost.reasons[0]!.message,
    /was lost: its last sign of life was .* ago, and the next worker to start will free the job$/
  )
  const waiting = await background.schedule({ task: 'Greet' })
  const without = await background.why(waiting)
  assert.match(without.reasons[0]!.message, /^No worker is running: the last one, .*, was lost .* ago\. Start one/)
  await database.sql`update graphile_worker._private_jobs set locked_by = 'somebody', locked_at = now() where id = ${waiting.id}`
  const foreign = await background.why(waiting)
  assert.equal(codesOf(foreign), ['foreign-worker'])
  assert.is(foreign.job?.state, 'running')
})

test('it was cancelled, or replaced, while it ran', async () => {
  const { database, background } = await prepare()
  const gate = Promise.withResolvers<void>()
  onceDone(() => gate.resolve())
  const worker = await work(database, { tasks: { Wait: () => gate.promise } })
  const cancelled = await background.schedule({ task: 'Wait' })
  const replaced = await background.schedule({ task: 'Wait', key: 'one' })
  await until(() => worker.running === 2)
  assert.is(await background.cancel(cancelled), 'cancelling')
  const newer = await background.schedule({ task: 'Wait', key: 'one' })
  assert.not(newer.id === replaced.id)
  await until(() => worker.running === 3)
  assert.equal(codesOf(await whenFirst(background, cancelled, 'running')), ['running', 'cancelled'])
  assert.equal(codesOf(await whenFirst(background, replaced, 'running')), ['running', 'replaced'])
  assert.equal(codesOf(await whenFirst(background, newer, 'running')), ['running'])
  assert.is((await background.why('one')).job?.id, newer.id)
})

test('nothing but a moment, or others that come first', async () => {
  const { database, background } = await prepare()
  await database.sql`
    insert into kretes.workers (id, host, pid, concurrency, tasks, beat_at)
    values ('busy', 'elsewhere', 1, 10, '{Wait}', now() + interval '1 hour')`
  const [first, second] = await database.sql<{ id: string }[]>`
    select (graphile_worker.add_job('Wait', run_at => now() - n * interval '1 s')).id::text
    from generate_series(2, 1, -1) n`
  assert.equal(codesOf(await background.why(first!.id)), ['due'])
  const behind = await background.why(second!.id)
  assert.equal(codesOf(behind), ['behind-others'])
  assert.equal([behind.reasons[0]?.count, behind.reasons[0]?.job], [1, first?.id])
})

test('it has ended, it is gone, it never existed', async () => {
  const { database, background } = await prepare()
  await work(database, { tasks: { Note: () => {} } })
  const job = await background.schedule({ task: 'Note' })
  const ended = await whenFirst(background, job, 'ended')
  assert.is(ended.job, null)
  assert.match(ended.reasons[0]!.message, /^It has ended: Note succeeded at .*Z, attempt 1$/)
  const removed = await background.schedule({ task: 'Note', delay: '1h', key: 'later' })
  await background.unschedule(removed)
  assert.equal(codesOf(await background.why(removed)), ['gone'])
  assert.equal(codesOf(await background.why({ key: 'later' })), ['gone'])
  assert.equal(codesOf(await background.why('999999')), ['never-existed'])
  try {
    await background.why({} as never)
    assert.unreachable()
  } catch (error) {
    assert.instance(error, TypeError)
  }
})

type Client = ReturnType<typeof createBackground>

async function prepare(): Promise<{ database: Awaited<ReturnType<typeof createDatabase>>; background: Client }> {
  const database = await createDatabase()
  const background = createBackground({ connection: database.url })
  onceDone(() => background.close())
  await background.migrate()
  return { database, background }
}

function codesOf({ reasons }: Why): ReasonCode[] {
  return reasons.map(({ code }) => code)
}

/** Waits until that is the first reason. */
function whenFirst(background: Client, job: JobReference, code: ReasonCode): Promise<Why> {
  return until(
    async () => {
      const why = await background.why(job)
      return why.reasons[0]?.code === code && why
    },
    { what: code }
  ) as Promise<Why>
}
