import { createBackground } from '../../src/background.ts'
import type { Job } from '../../src/job.ts'
import { Queue } from '../../src/queue.ts'
import { defineTask } from '../../src/task.ts'
import { startWorker } from '../../src/worker/mod.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createCounter } from '../helpers/counter.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'

const test = suite('a task that a worker has registered')
const { sql, url } = await createDatabase()
const run = (): void => {}
const worker = await startWorker({
  connection: url,
  tasks: {
    Queued: defineTask({ name: 'Queued', queue: Queue.for('one'), priority: 7, maxAttempts: 3, run }),
    Parallel: defineTask({ name: 'Parallel', queue: null, run }),
    Plain: run
  }
})
await until(async () => (await sql`select from kretes.definitions`).length === 3)
await worker.stop()
const warnings: string[] = []
const logger = { ...console, warn: (message: string) => void warnings.push(message) }
const background = createBackground({ connection: url, defaults: { queue: Queue.for('default') }, logger })
onceDone(() => background.close())
const kindOf = ({ queue, priority, maxAttempts }: Job) => [queue, priority, maxAttempts]

test('gives its options to jobs that are scheduled by its name, though no worker runs', async () => {
  const jobs = await Promise.all(['Queued', 'Parallel', 'Plain', 'Unknown'].map(task => background.schedule({ task })))
  assert.equal(jobs.map(kindOf), [
    ['one', 7, 3],
    [null, 0, 25],
    ['default', 0, 25],
    ['default', 0, 25]
  ])
})

test('lets a call win over them, in bulk too', async () => {
  const own = await background.schedule({ task: 'Queued', queue: null, priority: 1 })
  const list = await background.scheduleMany([{ task: 'Queued' }, { task: 'Queued', maxAttempts: 9 }])
  const alike = await background.scheduleMany({ task: 'Queued', payloads: [{}, {}], queue: null })
  assert.equal([own, ...list, ...alike].map(kindOf), [
    [null, 1, 3],
    ['one', 7, 3],
    ['one', 7, 9],
    [null, 7, 3],
    [null, 7, 3]
  ])
})

test('gives them in a transaction of somebody else, and to the first call of a process', async () => {
  await using first = createBackground({ connection: url })
  assert.equal(kindOf((await first.scheduleMany([{ task: 'Queued' }]))[0] as Job), ['one', 7, 3])
  await using other = createBackground({ connection: url })
  const job = await sql.begin(async transaction => await other.with(transaction).schedule({ task: 'Queued' }))
  assert.equal(kindOf(job), ['one', 7, 3])
})

test('is not asked for with each call', async () => {
  const reads = await createCounter(url, 'definition::text as definition')
  await using counted = createBackground({ connection: reads.url })
  for (let n = 0; n < 50; n++) await counted.schedule({ task: n % 2 ? 'Queued' : 'Unknown' })
  assert.is(reads.packets, 1)
})

test('is told of when the name of a function is none of those, once', async () => {
  const renamed = Object.defineProperty(() => {}, 'name', { value: 'Vte' })
  await using fresh = createBackground({ connection: url, logger })
  for (let n = 0; n < 3; n++) await fresh.schedule({ task: renamed })
  await fresh.schedule({ task: defineTask({ name: 'Elsewhere', run }) })
  assert.is(warnings.length, 1)
  assert.match(warnings[0] ?? '', /^No worker knows Vte, .+ defineTask\({ name, run }\)/)
})
