import { Limit } from '../../src/limit/limit.ts'
import { type DefinedTask, defineTask } from '../../src/task.ts'
import { isAllDone, type Numbered, noSlots, payloads } from '../flow/limits/slots.ts'
import { hasRun, POLL, prepare, registered, stopWorkers, work } from '../flow/prepare.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { waitingJobs } from './lanes.ts'

const test = suite('a job with limits that is for later')
test.after.each(stopWorkers)

function keyed(run: (payload: Numbered) => unknown = () => {}): DefinedTask<Numbered> {
  return defineTask({ name: 'Later', limit: { concurrency: 1, per: ({ key }: Numbered) => key ?? null }, run })
}

for (const [what, task] of [
  ['by its task', keyed()],
  ['by name', 'Later']
] as const) {
  test(`runs when it is due although the worker polls seldom: ${what}, whichever its priority`, async () => {
    const { database, background } = await prepare()
    const ran: string[] = []
    await work(database, { tasks: { Later: keyed(({ n }) => void ran.push(String(n))) }, ...POLL })
    await registered(database)
    const far = payloads(50, 'far').map(payload => ({ task, payload, delay: '1h' }))
    await background.scheduleMany(far)
    for (const [index, priority] of [5, -5, 0].entries()) {
      const payload = { n: index, key: 'a' }
      await background.schedule({ task, payload, delay: 300 + index * 300, priority })
    }
    await background.scheduleMany({ task, payloads: [{ n: 3, key: 'b' }], delay: 1_200 })
    await hasRun(ran, 4)
    assert.equal(ran.toSorted(), ['0', '1', '2', '3'])
    await until(async () => (await waitingJobs(database)).length === 50)
    await noSlots(database)
  })
}

test('is not before it is due, and runs at once when the worker has room, which was busy until then', async () => {
  const { database, background } = await prepare()
  const ran: string[] = []
  let gate = Promise.withResolvers<void>()
  const tasks = { Later: keyed(({ n }) => void ran.push(`later ${n}`)), Held: () => gate.promise }
  await work(database, { tasks, concurrency: 1, ...POLL })
  for (let n = 1; n <= 15; n++) {
    gate = Promise.withResolvers<void>()
    const held = await background.schedule({ task: 'Held' })
    await until(async () => (await background.why(held)).reasons[0]?.code === 'running')
    const job = await background.schedule({ task: keyed(), payload: { n, key: 'a' }, delay: 100 })
    await until(async () => (await background.why(job)).reasons[0]?.code === 'workers-busy')
    assert.is(ran.length, n - 1)
    gate.resolve()
    await hasRun(ran, n)
  }
  await isAllDone(database)
  const [runs] = await database.sql`
    select count(*)::int, bool_and(started_at >= ready_at) as "areOnTime" from kretes.runs where task = 'Later'`
  assert.equal(runs, { count: 15, areOnTime: true })
})

test('is the next attempt of one that failed: it runs when it is due, in the same limit', async () => {
  const { database, background } = await prepare()
  const ran: string[] = []
  const Later = defineTask({
    name: 'Later',
    limit: Limit.for('shared', { concurrency: 1 }),
    backoff: [200, 300],
    run({ n }: Numbered, { attempt }) {
      ran.push(`${n} attempt ${attempt}`)
      if (attempt < 3) throw new Error('broken')
    }
  })
  await work(database, { tasks: { Later }, ...POLL })
  await background.schedule({ task: Later, payload: { n: 1 } })
  await hasRun(ran, 1)
  // Its slot is free while it waits.
  await noSlots(database)
  await background.schedule({ task: 'Later', payload: { n: 2 } })
  await isAllDone(database)
  for (const n of [1, 2])
    assert.equal(
      ran.filter(line => line.startsWith(`${n} `)),
      [1, 2, 3].map(attempt => `${n} attempt ${attempt}`)
    )
  const runs = await database.sql`select queue, state, count(*)::int from kretes.runs group by 1, 2 order by 2`
  assert.equal(
    runs.map(({ queue, state, count }) => [queue, state, count]),
    [
      [null, 'failed', 4],
      [null, 'succeeded', 2]
    ]
  )
})
