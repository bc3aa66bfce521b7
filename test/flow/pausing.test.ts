import { createBackground } from '../../src/background.ts'
import { Queue } from '../../src/queue.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { countJobs, fill } from '../worker/work.ts'
import { countLocked, hasRun, noting, POLL, prepare, registered, stopWorkers, work } from './prepare.ts'

const test = suite('a pause')
test.after.each(stopWorkers)
const one = Queue.for('one')

test('of a task holds back its jobs from the next fetch on, and its end lets an idle worker run them at once', async () => {
  const { database, background } = await prepare()
  const { ran, tasks } = noting('Count', 'Other')
  await work(database, { tasks, ...POLL })
  await background.schedule({ task: 'Count' })
  await hasRun(ran, 1)
  await background.pause({ task: 'Count' })
  for (let round = 1; round <= 3; round++) {
    await background.schedule({ task: 'Count' })
    await background.schedule({ task: 'Other' })
    await hasRun(ran, round + 1)
  }
  assert.equal(ran, ['Count', 'Other', 'Other', 'Other'])
  await background.resume({ task: 'Count' })
  await hasRun(ran, 7)
  assert.equal(ran.slice(4), ['Count', 'Count', 'Count'])
})

test('of a task lets the others of a queue go on, and its jobs run in order later', async () => {
  const { database, background } = await prepare()
  const { ran, tasks } = noting('Held', 'Other')
  await background.pause({ task: 'Held' })
  for (let n = 1; n <= 4; n++) {
    await background.schedule({ task: 'Held', payload: { n }, queue: one })
    await background.schedule({ task: 'Other', payload: { n }, queue: one })
  }
  await work(database, { tasks, ...POLL })
  await hasRun(ran, 4)
  assert.equal(ran, ['Other 1', 'Other 2', 'Other 3', 'Other 4'])
  await until(async () => (await countLocked(database)) === 0)
  await background.resume({ task: 'Held' })
  await hasRun(ran, 8)
  assert.equal(ran.slice(4), ['Held 1', 'Held 2', 'Held 3', 'Held 4'])
})

test('of a queue holds back its jobs, whatever their task, and no others', async () => {
  const { database, background } = await prepare()
  const { ran, tasks } = noting('A', 'B')
  await background.pause({ queue: one })
  for (const task of ['A', 'B']) {
    for (let n = 1; n <= 3; n++) await background.schedule({ task, payload: { n }, queue: one })
    await background.schedule({ task, queue: Queue.for('two') })
    await background.schedule({ task })
  }
  await work(database, { tasks, ...POLL })
  await hasRun(ran, 4)
  await until(async () => (await countJobs(database)) === 6)
  assert.equal(ran.toSorted(), ['A', 'A', 'B', 'B'])
  await background.resume({ queue: 'one' })
  await hasRun(ran, 10)
  assert.equal(ran.slice(4), ['A 1', 'A 2', 'A 3', 'B 1', 'B 2', 'B 3'])
})

test('of everything holds back all jobs, and what was paused by itself stays so at its end', async () => {
  const { database, background } = await prepare()
  const { ran, tasks } = noting('A', 'B')
  await background.pause({ all: true })
  await background.pause({ task: 'A' })
  await background.pause({ queue: 'one' })
  await work(database, { tasks, ...POLL })
  await registered(database)
  await background.schedule({ task: 'A' })
  await background.schedule({ task: 'B', queue: one })
  await background.schedule({ task: 'B', payload: { n: 1 } })
  await background.resume({ task: 'none such' })
  await background.resume({ all: true })
  await hasRun(ran, 1)
  assert.equal(ran, ['B 1'])
  await background.resume({ queue: 'one' })
  await hasRun(ran, 2)
  assert.equal(ran, ['B 1', 'B'])
  await background.resume({ task: 'A' })
  await hasRun(ran, 3)
})

test('lets running jobs finish, and the worker gives back what it has fetched and not begun', async () => {
  const { database, background } = await prepare()
  for (const queue of [null, 'one']) {
    const gate = Promise.withResolvers<void>()
    onceDone(() => gate.resolve())
    const ran: number[] = []
    const Count = async ({ n }: { n: number }): Promise<void> => {
      ran.push(n)
      if (n === 1) await gate.promise
    }
    await fill(database, 'Count', 10, { queue })
    const worker = await work(database, {
      tasks: { Count, Other: () => void ran.push(0) },
      concurrency: 1,
      localQueueSize: 10,
      localQueueTtl: 100,
      ...POLL
    })
    await until(() => ran.length === 1)
    await background.pause({ task: 'Count' })
    await until(async () => (await countLocked(database)) === 1)
    await background.schedule({ task: 'Other' })
    gate.resolve()
    await until(async () => (await countJobs(database)) === 9)
    assert.equal(ran, [1, 0], `of the queue ${queue}`)
    await background.resume({ task: 'Count' })
    await until(async () => (await countJobs(database)) === 0)
    assert.equal(ran, [1, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10], `of the queue ${queue}`)
    await worker.stop()
  }
})

test('lets a long series of short jobs of a queue stop soon', async () => {
  const { database, background } = await prepare()
  await fill(database, 'Count', 5_000, { queue: 'one' })
  let ran = 0
  const Count = async (): Promise<void> => {
    ran++
    await new Promise(resolve => setTimeout(resolve, 2))
  }
  await work(database, { tasks: { Count }, localQueueTtl: 100, ...POLL })
  await until(() => ran > 20)
  await background.pause({ queue: 'one' })
  await until(async () => (await countLocked(database)) === 0)
  const { length } = await database.sql`select from graphile_worker._private_jobs`
  assert.ok(length > 0, 'all jobs have run')
  assert.is(ran, 5_000 - length)
})

for (const target of [{ task: 'Count' }, { queue: 'one' }, { all: true }] as const) {
  test(`of ${JSON.stringify(target)} lets a worker that runs once end, although jobs are due`, async () => {
    const { database, background } = await prepare()
    const { ran, tasks } = noting('Count', 'Other')
    await background.pause(target)
    await fill(database, 'Count', 30, { queue: 'one' })
    await fill(database, 'Other', 2)
    const worker = await work(database, { tasks, once: true, ...POLL })
    await worker.finished
    const isAll = 'all' in target
    assert.equal(ran, isAll ? [] : ['Other 1', 'Other 2'])
    assert.is(await countJobs(database), isAll ? 32 : 30)
    await background.resume(target)
    const again = await work(database, { tasks, once: true, ...POLL })
    await again.finished
    assert.is(ran.length, 32)
  })
}

test('lets recurring jobs come, whose jobs wait', async () => {
  const { database, background } = await prepare()
  const { ran, tasks } = noting('Count')
  await background.pause({ task: 'Count' })
  await background.recurring.set('often', { task: 'Count', every: '1s', overlap: 'allow' })
  await work(database, { tasks, ...POLL })
  await until(async () => (await countJobs(database)) >= 2)
  assert.equal(ran, [])
  await background.resume({ task: 'Count' })
  await hasRun(ran, 2)
})

test('holds for its own schema alone', async () => {
  const { database, background } = await prepare()
  const schema = `My "jobs'`
  const other = createBackground({ connection: database.url, schema })
  onceDone(() => other.close())
  await other.migrate()
  const [first, second] = [noting('Count'), noting('Count')]
  await other.pause({ task: 'Count', reason: 'of its own' })
  assert.equal(await background.pauses(), [])
  assert.is(await background.resume({ task: 'Count' }), undefined)
  await work(database, { tasks: first.tasks, ...POLL })
  await work(database, { tasks: second.tasks, schema, ...POLL })
  await other.schedule({ task: 'Count' })
  await background.schedule({ task: 'Count' })
  await hasRun(first.ran, 1)
  assert.equal(second.ran, [])
  assert.is((await other.resume({ task: 'Count' }))?.reason, 'of its own')
  await hasRun(second.ran, 1)
})

test('may come and go many times while workers run, and no job is lost or runs twice', async () => {
  const { database, background } = await prepare()
  const { ran, tasks } = noting('Count', 'Other')
  const options = { tasks, localQueueTtl: 50, ...POLL }
  await Promise.all([work(database, options), work(database, options)])
  const targets = [{ task: 'Count' }, { queue: 'queue 1' }, { all: true }] as const
  let scheduled = 0
  for (let round = 0; round < 30; round++) {
    const target = targets[round % targets.length]!
    await background.pause(target)
    await fill(database, round % 2 ? 'Count' : 'Other', 20, { queues: 3 })
    scheduled += 20
    await background.resume(target)
  }
  await hasRun(ran, scheduled)
  await until(async () => (await countJobs(database)) === 0)
  assert.is(ran.length, scheduled)
})
