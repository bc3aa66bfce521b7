import { readFile } from 'node:fs/promises'
import { Background, createBackground, defineTask, PermanentError, Snooze } from '../../mod.ts'
import { BACKGROUND_OPTIONS } from '../../src/client.ts'
import { STATUS_OPTIONS } from '../../src/diagnose/diagnose.ts'
import { JOB_OPTIONS } from '../../src/enqueue/request.ts'
import { MANY_OPTIONS, PAYLOADS_OPTIONS } from '../../src/enqueue/schedule-many.ts'
import { LIMIT_CHANGE } from '../../src/flow/limits.ts'
import { PRUNE_OPTIONS } from '../../src/ledger/prune.ts'
import { BULK_OPTIONS } from '../../src/manage/bulk.ts'
import { PAGE, RUN_FILTER } from '../../src/manage/filter.ts'
import { CHANGES } from '../../src/manage/reschedule.ts'
import { BULK_FILTER } from '../../src/manage/selection.ts'
import { RESULT_OPTIONS } from '../../src/results/waiters.ts'
import { DEFINITION } from '../../src/task.ts'
import { guardProcess, startWorker } from '../../src/worker/mod.ts'
import { LEDGER_OPTIONS, WORKER_OPTIONS } from '../../src/worker/options.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('an option that does not exist')
const { sql, url } = await createDatabase()
const background = createBackground({ connection: url })
onceDone(() => background.close())
await background.migrate()
const job = await background.schedule({ task: 'Any', key: 'any', delay: '1h' })
const run = (): void => {}
const task = 'Any'
/** What no compiler has seen. */
const given = (options: object): never => options as never

const calls: Record<string, [call: () => unknown, message: string]> = {
  schedule: [
    () => background.schedule(given({ task, maxAttempt: 3 })),
    'schedule Any: there is no option maxAttempt. Did you mean maxAttempts?'
  ],
  'schedule with what is to come': [
    () => background.schedule(given({ task, cron: '* * * * *' })),
    'schedule Any: there is no option cron, only task, payload, queue, priority, maxAttempts, runAt, delay, key, keyMode'
  ],
  'a transaction': [
    () => background.with({ query: async () => ({ rows: [] }) }).schedule(given({ task, paylod: {} })),
    'schedule Any: there is no option paylod. Did you mean payload?'
  ],
  'scheduleMany of a list': [
    () => background.scheduleMany(given([{ task }, { task, dely: 5 }])),
    'schedule Any: there is no option dely. Did you mean delay or key?'
  ],
  'scheduleMany of payloads': [
    () => background.scheduleMany(given({ task, payloads: [{}], key: 'same' })),
    'schedule Any: there is no option key, only task, queue, priority, maxAttempts, runAt, delay'
  ],
  'how scheduleMany works': [
    () => background.scheduleMany([{ task }], given({ returnig: false })),
    'schedule many jobs: there is no option returnig. Did you mean returning?'
  ],
  reschedule: [
    () => background.reschedule(job, given({ queue: 'email' })),
    'reschedule a job: there is no option queue, only runAt, delay, priority, maxAttempts'
  ],
  result: [
    () => job.result(given({ timeuot: 5 })),
    'wait for a result: there is no option timeuot. Did you mean timeout?'
  ],
  jobs: [
    () => background.jobs(given({ states: 'failed' })),
    'list jobs: there is no condition states. Did you mean state?'
  ],
  runs: [
    () => background.runs(given({ until: new Date() })),
    'list runs: there is no condition until, only job, task, queue, state, since, search, limit, cursor'
  ],
  retry: [() => background.retry(given({ taks: 'Any' })), 'retry jobs: there is no condition taks. Did you mean task?'],
  'how delete works': [
    () => background.delete({ task }, given({ isDryRun: true })),
    'delete jobs: there is no option isDryRun. Did you mean dryRun?'
  ],
  'cancel of one job': [
    () => Reflect.apply(background.cancel, background, ['any', { dryRun: true }]),
    'cancel a job: options are for many. Pass it in a list: cancel([job], …)'
  ],
  runNow: [
    () => background.runNow(given({ taskname: 'Any' })),
    'run jobs: there is no condition taskname, only state, task, queue, search, all'
  ],
  status: [
    () => background.status(given({ windw: '5m' })),
    'tell the status: there is no option windw. Did you mean window?'
  ],
  prune: [
    () => background.prune(given({ keep: '1d' })),
    'prune the ledger: there is no option keep. Did you mean keepFailures or keepSuccesses?'
  ],
  createBackground: [
    () => createBackground(given({ maxConnection: 2 })),
    'create a Background: there is no option maxConnection. Did you mean maxConnections or connection?'
  ],
  defaults: [
    () => createBackground({ defaults: given({ retries: 2 }) }),
    'create a Background: there is no default retries, only queue, priority, maxAttempts'
  ],
  configure: [() => Background.configure(given({ url })), 'configure Background: there is no option url, only '],
  defineTask: [
    () => defineTask(given({ name: 'Any', run, maxattempts: 3 })),
    'define Any: there is no option maxattempts. Did you mean maxAttempts?'
  ],
  backoff: [
    () => defineTask({ name: 'Any', run, backoff: given({ type: 'exponential', factor: 3 }) }),
    'define Any: there is no option of the backoff factor, only type, base, max, jitter'
  ],
  'a length of time': [
    () => background.schedule({ task, delay: given({ hours: 1, minute: 30 }) }),
    'schedule Any: there is no unit of delay minute. Did you mean minutes?'
  ],
  Snooze: [() => new Snooze(given({ until: new Date(), atMost: 3 })), 'snooze: there is no option atMost, only until'],
  startWorker: [
    () => startWorker(given({ tasks: { Any: run }, concurency: 3 })),
    'start a worker: there is no option concurency. Did you mean concurrency?'
  ],
  ledger: [
    () => startWorker({ tasks: { Any: run }, ledger: given({ keepPayload: true }) }),
    'start a worker: there is no option of the ledger keepPayload. Did you mean keepPayloads?'
  ],
  guardProcess: [
    () => guardProcess(given({ onError: run })),
    'guard the process: there is no option onError, only onException, onRejection'
  ]
}
for (const [name, [call, message]] of Object.entries(calls)) {
  test(`is refused by ${name}, with the one that is meant`, async () => {
    const error = await rejectionOf(call)
    assert.instance(error, TypeError)
    assert.ok(error.message.startsWith(`Cannot ${message}`), error.message)
  })
}

test('is refused by the stop of a worker, which goes on', async () => {
  await using worker = await startWorker({ connection: url, tasks: { Any: run } })
  const error = await worker.stop(given({ timeoutMs: 5 })).catch(thrown => thrown)
  assert.is(error.message, 'Cannot stop the worker: there is no option timeoutMs. Did you mean timeout?')
})

test('changes nothing', async () => {
  const rows = await sql`select id::text, key from graphile_worker.jobs`
  assert.equal([...rows], [{ id: job.id, key: 'any' }])
})

test('may be undefined, as in a call that passes on what it was given', async () => {
  const { id } = await background.schedule(given({ task, key: 'any', delay: '1h', cron: undefined }))
  assert.is(id, job.id)
  assert.instance(new PermanentError('Gone', { cause: 1 }), Error)
})

test('is none of those that docs/options.md lists, and it lists them all', async () => {
  const text = await readFile(new URL('../../docs/options.md', import.meta.url), 'utf8')
  const listed = new Set([...text.matchAll(/`(?:ledger\.)?(\w+)`/g)].map(([, name]) => name))
  const all = [JOB_OPTIONS, PAYLOADS_OPTIONS, MANY_OPTIONS, CHANGES, RESULT_OPTIONS, BULK_FILTER, RUN_FILTER, PAGE]
  all.push(BULK_OPTIONS as never, STATUS_OPTIONS as never, PRUNE_OPTIONS as never, BACKGROUND_OPTIONS as never)
  all.push(DEFINITION as never, WORKER_OPTIONS as never, LEDGER_OPTIONS as never, LIMIT_CHANGE as never)
  const missing = all.flatMap(names => Object.keys(names)).filter(name => !listed.has(name))
  assert.equal(missing, [])
})

async function rejectionOf(call: () => unknown): Promise<Error> {
  try {
    await call()
  } catch (error) {
    return error as Error
  }
  throw new Error('Nothing was refused')
}
