import { EventEmitter } from 'node:events'
import { createBackground, type Task } from '../../mod.ts'
import { guardProcess } from '../../src/worker/mod.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createRecorder, work } from './work.ts'

const test = suite('an error that a task leaves to nobody')

const database = await createDatabase()
const background = createBackground({ connection: database.url })
onceDone(() => background.close())

// Those of the tests count every rejection as a failure.
process.removeAllListeners('unhandledRejection')
const strays: unknown[] = []
const guard = guardProcess({ onException: error => strays.push(error), onRejection: reason => strays.push(reason) })
onceDone(() => guard[Symbol.dispose]())

const never = (): Promise<void> => new Promise(() => {})
const fail = (): never => {
  throw new Error('astray')
}

const ways: Record<string, Task> = {
  InTimer: () => {
    setTimeout(fail, 10)
    return never()
  },
  InImmediate: () => {
    setImmediate(fail)
    return never()
  },
  InMicrotask: () => {
    queueMicrotask(fail)
    return never()
  },
  InTick: () => {
    process.nextTick(fail)
    return never()
  },
  InEvent: async () => {
    const emitter = new EventEmitter()
    setTimeout(() => emitter.emit('error', new Error('astray')), 10)
    await never()
  },
  InRejection: async () => {
    Promise.reject(new Error('astray'))
    await never()
  },
  InLateRejection: async () => {
    const later = async (): Promise<void> => {
      await new Promise(resolve => setTimeout(resolve, 10))
      fail()
    }
    later()
    await never()
  },
  InRejectionWhileItGoesOn: async (_input, { signal }) => {
    Promise.reject(new Error('astray'))
    await new Promise(resolve => signal.addEventListener('abort', resolve))
  }
}

for (const [name, run] of Object.entries(ways)) {
  const task = { [name]: (input: object, context: Parameters<Task>[1]) => run(input, context) }
  test(`fails its job, not the worker: ${name}`, async () => {
    const log = createRecorder()
    const gate = Promise.withResolvers<void>()
    await using worker = await work(database, {
      logger: log,
      tasks: { ...task, Bystander: () => gate.promise }
    })
    await background.schedule({ task: 'Bystander' })
    const { id } = await background.schedule({ task: name, maxAttempts: 1 })
    await until(() => log.of('job.failed').length === 1)
    assert.is(log.of('job.failed')[0]?.fields.job, id)
    assert.is(String(log.of('job.failed')[0]?.fields.error), 'Error: astray')
    assert.is(log.of('job.uncaught')[0]?.fields.job, id)
    gate.resolve()
    await until(() => log.of('job.succeeded').length === 1)
    assert.is(worker.running, 0)
    assert.equal(strays, [])
  })
}

test('after its job has ended is logged, and changes nothing', async () => {
  const log = createRecorder()
  await using _worker = await work(database, {
    logger: log,
    tasks: {
      Later: () => {
        setTimeout(fail, 200)
      }
    }
  })
  await background.schedule({ task: 'Later' })
  await until(() => log.of('job.uncaught').length === 1)
  assert.match(log.of('job.uncaught')[0]?.message ?? '', /after the job had ended/)
  assert.is(log.of('job.succeeded').length, 1)
  assert.is(log.of('job.failed').length, 0)
})

test('is told apart from one that no job is to blame for', async () => {
  setTimeout(() => {
    throw new Error('of nobody')
  })
  Promise.reject(new Error('of nobody either'))
  await until(() => strays.length === 2)
  assert.equal(strays.map(error => (error as Error).message).sort(), ['of nobody', 'of nobody either'])
})
