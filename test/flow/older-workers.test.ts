import { createBackground } from '../../src/background.ts'
import { Queue } from '../../src/queue.ts'
import { type DefinedTask, defineTask } from '../../src/task.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { countJobs } from '../worker/work.ts'
import { countLocked, hasRun, POLL, prepare, stopWorkers, work } from './prepare.ts'

const test = suite('workers of several versions of a task')
test.after.each(stopWorkers)

/** Notes which worker has run it, and the number of the payload. */
function versioned(version: number | undefined, ran: string[] = []): DefinedTask<{ n?: number }> {
  return defineTask({
    name: 'Mail',
    ...(version !== undefined && { version }),
    run: ({ n }: { n?: number }) => void ran.push(`${n} by ${version}`)
  })
}

for (const [version, left] of [
  [undefined, [1, 2, 3]],
  [1, [2, 3]],
  [2, [3]],
  [3, []],
  [999_999_999, []]
] as const) {
  test(`run only what ${version === undefined ? 'no version' : `version ${version}`} and older ones have scheduled, and end`, async () => {
    const { database, background } = await prepare()
    for (const n of [0, 1, 2, 3]) {
      for (const queue of [null, Queue.for('one')])
        await background.schedule({ task: versioned(n || undefined), payload: { n }, queue })
    }
    await background.schedule({ task: 'Mail', payload: { n: 0 } })
    const ran: string[] = []
    const worker = await work(database, { tasks: { Mail: versioned(version, ran) }, once: true, ...POLL })
    await worker.finished
    const rows =
      await database.sql`select (payload ->> 'n')::int as n, attempts from graphile_worker._private_jobs order by 1`
    assert.equal(
      rows.map(({ n }) => n),
      left.flatMap(n => [n, n])
    )
    assert.ok(rows.every(({ attempts }) => attempts === 0))
    assert.is(ran.length, 9 - rows.length)
  })
}

test('leave jobs that are too new to the newer worker, and do not hold up those that fit behind them', async () => {
  const { database, background } = await prepare()
  const queue = Queue.for('one')
  const ran: string[] = []
  await using old = await work(database, { tasks: { Mail: versioned(1, ran) }, ...POLL })
  for (let n = 1; n <= 4; n++) {
    await background.schedule({ task: versioned(2), payload: { n }, queue })
    await background.schedule({ task: versioned(1), payload: { n: n * 10 }, queue })
  }
  await hasRun(ran, 4)
  assert.equal(ran, ['10 by 1', '20 by 1', '30 by 1', '40 by 1'])
  await until(async () => (await countLocked(database)) === 0)
  await using newer = await work(database, { tasks: { Mail: versioned(2, ran) }, ...POLL })
  await hasRun(ran, 8)
  assert.equal(ran.slice(4), ['1 by 2', '2 by 2', '3 by 2', '4 by 2'])
  await Promise.all([old.stop(), newer.stop()])
})

for (const [what, queues] of [
  ['without a queue', [null]],
  ['of one queue', ['newer']],
  ['of many queues', Array.from({ length: 80 }, (_, n) => `newer ${n}`)]
] as const) {
  test(`run all other jobs although many wait ${what} that are too new, and end`, async () => {
    const { database, background } = await prepare()
    const jobs = Array.from({ length: 160 }, (_, n) => ({
      task: versioned(2),
      payload: { n },
      queue: queueOf(queues[n % queues.length]!)
    }))
    await background.scheduleMany(jobs)
    const ran: string[] = []
    for (const queue of [null, 'other']) {
      for (let n = 0; n < 20; n++) {
        await background.schedule({ task: 'Other', payload: { n }, queue: queueOf(queue) })
        await background.schedule({ task: versioned(1), payload: { n }, queue: queueOf(queue) })
      }
    }
    const tasks = { Mail: versioned(1, ran), Other: () => void ran.push('other') }
    await work(database, { tasks, concurrency: 4, ...POLL })
    await hasRun(ran, 80)
    await until(async () => (await countJobs(database)) === 160)
    const once = await work(database, { tasks, concurrency: 4, once: true, ...POLL })
    await once.finished
    assert.is(ran.length, 80)
  })
}

test('are told apart during a deployment, while both run and both versions schedule', async () => {
  const { database, background } = await prepare()
  const [first, second] = [[], []] as [string[], string[]]
  await work(database, { tasks: { Mail: versioned(1, first) }, ...POLL })
  await work(database, { tasks: { Mail: versioned(2, second) }, ...POLL })
  await Promise.all(
    Array.from({ length: 400 }, (_, n) =>
      background.schedule({
        task: versioned((n % 2) + 1),
        payload: { n },
        queue: n % 3 ? queueOf(`queue ${n % 5}`) : null
      })
    )
  )
  await until(() => first.length + second.length === 400)
  for (const line of first) assert.is(Number.parseInt(line, 10) % 2, 0, line)
})

test('leave the jobs of recurring jobs of newer versions, on time and by hand', async () => {
  const { database, background } = await prepare()
  const ran: string[] = []
  await background.recurring.set('newer', { task: versioned(2), every: '1h', payload: { n: 2 }, overlap: 'allow' })
  await background.recurring.set('older', { task: versioned(1), every: '1h', payload: { n: 1 }, overlap: 'allow' })
  await database.sql`update kretes.recurring set next_at = now() - interval '1 s'`
  await using _old = await work(database, { tasks: { Mail: versioned(1, ran) }, ...POLL })
  for (const name of ['newer', 'older']) await background.recurring.runNow(name)
  await hasRun(ran, 2)
  await until(async () => (await countJobs(database)) === 2)
  await using _newer = await work(database, { tasks: { Mail: versioned(2, ran) }, ...POLL })
  await hasRun(ran, 4)
  assert.equal(ran, ['1 by 1', '1 by 1', '2 by 2', '2 by 2'])
})

test('are not misled by the name of a recurring job', async () => {
  const { database, background } = await prepare()
  const names = ['kretes:version 9', '"kretes:version 9', 'x "kretes:version 9": true', 'kretes:version x']
  const ran: string[] = []
  await using other = createBackground({ connection: database.url })
  for (const name of names) {
    await background.recurring.set(name, { task: versioned(1), every: '1h', overlap: 'allow' })
    assert.is((await other.recurring.runNow(name)).schedule, name)
  }
  await work(database, { tasks: { Mail: versioned(1, ran) }, ...POLL })
  await hasRun(ran, names.length)
})

test('take a job that SQL has given flags which only look like versions', async () => {
  const { database } = await prepare()
  const ran: string[] = []
  const flags = [
    'kretes:versioned',
    'kretes:version x',
    'kretes:version',
    'Kretes:version 9',
    'kretes:version 9x',
    'kretes:version 1e9'
  ]
  await database.sql`select graphile_worker.add_job('Mail', flags => ${flags}::text[])`
  await database.sql`select graphile_worker.add_job('Mail', flags => array['kretes:versioned', 'kretes:version 1', 'mine'])`
  await work(database, { tasks: { Mail: versioned(1, ran) }, ...POLL })
  await hasRun(ran, 2)
})

function queueOf(name: string | null): Queue | null {
  return name === null ? null : Queue.for(name)
}
