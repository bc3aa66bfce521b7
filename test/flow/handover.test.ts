import { Queue } from '../../src/queue.ts'
import { defineTask } from '../../src/task.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { countJobs } from '../worker/work.ts'
import { POLL, prepare, stopWorkers, work } from './prepare.ts'

const test = suite('a queue with jobs of several workers')
test.after.each(stopWorkers)
const one = Queue.for('one')

test('passes to the worker that takes its next job, without waiting for the poll of that one', async () => {
  const { database, background } = await prepare()
  const gate = Promise.withResolvers<void>()
  onceDone(() => gate.resolve())
  const ran: string[] = []
  const tasks = {
    First: async () => {
      await gate.promise
      ran.push('First')
    },
    Second: () => void ran.push('Second')
  }
  const first = await work(database, { tasks, only: ['First'], ...POLL })
  await background.schedule({ task: 'First', queue: one })
  await until(() => first.running === 1)
  const second = await work(database, { tasks, only: ['Second'], ...POLL })
  await second.ready
  const last = await background.schedule({ task: 'Second', queue: one })
  // The other worker has looked, and found the queue held.
  await background.schedule({ task: 'Second' })
  await until(() => ran.length === 1)
  gate.resolve()
  await until(() => ran.length === 3, { what: `job ${last.id}` })
  assert.equal(ran, ['Second', 'First', 'Second'])
  await until(async () => (await countJobs(database)) === 0)
})

test('passes to a worker with a newer version of its task', async () => {
  const { database, background } = await prepare()
  const gate = Promise.withResolvers<void>()
  onceDone(() => gate.resolve())
  const ran: string[] = []
  const versioned = (version: number, worker: string) =>
    defineTask({
      name: 'Mail',
      version,
      run: async () => {
        if (worker === 'old') await gate.promise
        ran.push(worker)
      }
    })
  const old = await work(database, { tasks: { Mail: versioned(1, 'old') }, ...POLL })
  await background.schedule({ task: versioned(1, ''), queue: one })
  await until(() => old.running === 1)
  const newer = await work(database, { tasks: { Mail: versioned(2, 'newer') }, ...POLL })
  await newer.ready
  await background.schedule({ task: versioned(2, ''), queue: one })
  await background.schedule({ task: versioned(2, '') })
  await until(() => ran.length === 1)
  gate.resolve()
  await until(() => ran.length === 3)
  assert.equal(ran, ['newer', 'old', 'newer'])
})
