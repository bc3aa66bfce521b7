import { inspect } from 'node:util'
import { Queue } from '../../src/queue.ts'
import { defineTask, type Task } from '../../src/task.ts'
import { chooseTasks, readQueues, toChoice } from '../../src/worker/choice.ts'
import type { WorkerOptions } from '../../src/worker/options.ts'
import { startWorker } from '../../src/worker/worker.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { countJobs, createRecorder, fill } from '../worker/work.ts'
import { countLocked, hasRun, noting, POLL, prepare, registered, stopWorkers, work } from './prepare.ts'

const test = suite('a worker that chooses its jobs')
test.after.each(stopWorkers)

const NAMES = ['SendEmail', 'Report', 'Clean'] as const
const QUEUES = [null, 'email', 'files'] as const
const Clean: Task = () => {}
const Report = defineTask({ name: 'Report', run: () => {} })

/** Which jobs each choice takes: task and queue. */
const CHOICES: readonly [WorkerOptions, (task: string, queue: string | null) => boolean][] = [
  [{ only: ['SendEmail'] }, task => task === 'SendEmail'],
  [{ only: [Report, 'Clean', 'Clean'] }, task => task !== 'SendEmail'],
  [{ except: [Clean, 'Report'] }, task => task === 'SendEmail'],
  [{ queues: ['email'] }, (_, queue) => queue === 'email'],
  [{ queues: [Queue.for('files'), 'none such'] }, (_, queue) => queue === 'files'],
  [{ queues: false }, (_, queue) => queue === null],
  [{ queues: { except: [Queue.for('email')] } }, (_, queue) => queue !== 'email'],
  [{ only: ['Report'], queues: ['email', 'files'] }, (task, queue) => task === 'Report' && queue !== null],
  [{ except: ['Report'], queues: { except: ['files'] } }, (task, queue) => task !== 'Report' && queue !== 'files']
]

for (const [options, isTaken] of CHOICES) {
  test(`takes those and locks no others: ${inspect(options)}`, async () => {
    const { database, background } = await prepare()
    const { sql } = database
    // What others must run comes first. An update that locks a job without running it leaves a trace here.
    await sql`create table locks (job bigint)`
    await sql`
      create function note() returns trigger language plpgsql as $$ begin insert into public.locks values (new.id); return new; end $$`
    await sql`
      create trigger note after update on graphile_worker._private_jobs for each row when (new.locked_by is not null)
      execute function note()`
    const jobs = NAMES.flatMap(task => QUEUES.map(queue => ({ task, queue }))).toSorted(
      (a, b) => Number(isTaken(a.task, a.queue)) - Number(isTaken(b.task, b.queue))
    )
    for (const { task, queue } of jobs) await fill(database, task, 60, { queue })
    const expected = jobs.filter(({ task, queue }) => isTaken(task, queue)).length * 60
    const { ran, tasks } = noting(...NAMES)
    await using worker = await work(database, { tasks, ...options, ...POLL })
    await hasRun(ran, expected)
    await background.schedule({ task: 'Clean', queue: Queue.for('files') })
    if (isTaken('Clean', 'files')) await hasRun(ran, expected + 1)
    await until(async () => (await countLocked(database)) === 0)
    await worker.stop()
    const rows = await sql<{ task: string; queue: string | null }[]>`
      select distinct task_identifier as task, queue_name as queue from graphile_worker.jobs order by 1, 2`
    const left = jobs.filter(({ task, queue }) => !isTaken(task, queue))
    assert.equal(
      rows.map(({ task, queue }) => `${task} ${queue}`),
      left.map(({ task, queue }) => `${task} ${queue}`).sort((a, b) => (a < b ? -1 : 1))
    )
    const stray = await sql`select job from locks where job in (select id from graphile_worker._private_jobs)`
    assert.is(stray.length, 0)
    const held = await sql`select from graphile_worker._private_job_queues where locked_by is not null`
    assert.is(held.length, 0)
  })
}

test('runs once to its end although other jobs are due', async () => {
  for (const [options, left] of [
    [{ only: ['Report'] }, 20],
    [{ queues: false }, 20],
    [{ queues: ['email'] }, 20],
    [{ only: ['Report'], queues: { except: ['email'] } }, 30]
  ] as const) {
    const { database } = await prepare()
    for (const task of ['SendEmail', 'Report'])
      for (const queue of [null, 'email']) await fill(database, task, 10, { queue })
    const { tasks } = noting(...NAMES)
    const worker = await work(database, { tasks, once: true, ...options, ...POLL })
    await worker.finished
    assert.is(await countJobs(database), left, JSON.stringify(options))
  }
})

test('and another with the rest run all jobs, each in its part', async () => {
  const { database } = await prepare()
  for (const task of NAMES) for (const queue of QUEUES) await fill(database, task, 100, { queue })
  const [first, second, third] = [noting(...NAMES), noting(...NAMES), noting(...NAMES)]
  await work(database, { tasks: first.tasks, queues: ['email'], ...POLL })
  await work(database, { tasks: second.tasks, queues: { except: ['email'] }, only: ['Report'], ...POLL })
  await work(database, { tasks: third.tasks, queues: { except: ['email'] }, except: ['Report'], ...POLL })
  await until(async () => (await countJobs(database)) === 0)
  assert.equal(
    [first, second, third].map(({ ran }) => ran.length),
    [300, 200, 400]
  )
  assert.ok(second.ran.every(name => name.startsWith('Report')))
  assert.ok(third.ran.every(name => !name.startsWith('Report')))
})

test('registers only the tasks that it runs', async () => {
  const { database } = await prepare()
  const { tasks } = noting(...NAMES)
  await using worker = await work(database, { tasks, only: ['Clean', 'Report'], queues: ['email'], ...POLL })
  assert.equal(worker.tasks, ['Report', 'Clean'])
  await registered(database)
  const [row] = await database.sql`select tasks, queues, task_versions from kretes.workers`
  assert.equal(row, { tasks: ['Report', 'Clean'], queues: { kind: 'only', names: ['email'] }, task_versions: {} })
  const definitions = await database.sql`select name from kretes.definitions order by 1`
  assert.equal(
    definitions.map(({ name }) => name),
    ['Clean', 'Report']
  )
})

test('leaves the recurring jobs that its code declares for tasks that it does not run', async () => {
  const { database, background } = await prepare()
  const logger = createRecorder()
  const tasks = Object.fromEntries(NAMES.map(name => [name, defineTask({ name, run: () => {}, every: '1h' })] as const))
  for (const options of [{}, { only: ['Clean'] }, { except: ['Clean'] }, { queues: false }] as const) {
    const before = logger.of('recurring.declared').length
    await using _worker = await work(database, { tasks, logger, ...options, ...POLL })
    await until(() => logger.of('recurring.declared').length > before)
    const { entries } = await background.recurring.list()
    assert.equal(
      entries.map(({ name }) => name),
      ['Clean', 'Report', 'SendEmail'],
      JSON.stringify(options)
    )
  }
  assert.equal(
    logger.of('recurring.declared').flatMap(({ fields }) => fields.removed),
    []
  )
})

const all = new Map(NAMES.map(name => [name as string, (() => {}) as Task]))
const REFUSED: readonly [WorkerOptions, string, RegExp][] = [
  [{ only: ['Clean'], except: ['Report'] }, 'TypeError', /: both only and except are given\. Give one of them$/],
  [{ only: [], except: [] }, 'TypeError', /: both only and except are given/],
  [{ only: [] }, 'RangeError', /: only is an empty list$/],
  [{ except: [] }, 'RangeError', /: except is an empty list$/],
  [{ only: ['SendMail'] }, 'TASKS', /: only has SendMail, and there is no such task\. Did you mean SendEmail\?$/],
  [
    { except: ['Xylophone'] },
    'TASKS',
    /: except has Xylophone, and there is no such task, only SendEmail, Report, Clean$/
  ],
  [{ only: ['Clean', ''] }, 'TASKS', /: only has , and there is no such task/],
  [{ except: [...NAMES] }, 'TASKS', /: except leaves out all of its tasks$/],
  [{ only: 'Clean' as never }, 'TypeError', /: only is .+, not a list$/],
  [{ except: null as never }, 'TypeError', /: except is null, not a list$/],
  [{ only: [1 as never] }, 'TypeError', /^Cannot read only: task is .+, neither a task nor a name$/],
  [
    { only: [(() => {}) as Task] },
    'TypeError',
    /^Cannot read only: its name .+ is not in CamelCase|^Cannot read only: its name is empty/
  ],
  [{ queues: [] }, 'RangeError', /: queues is an empty list$/],
  [{ queues: { except: [] } }, 'RangeError', /: queues\.except is an empty list$/],
  [{ queues: { except: 'email' as never } }, 'TypeError', /: queues\.except is .+, not a list$/],
  [{ queues: true as never }, 'TypeError', /: queues is true, neither a list, \{ except: \[…\] \} nor false$/],
  [{ queues: null as never }, 'TypeError', /: queues is null, neither/],
  [{ queues: 'email' as never }, 'TypeError', /: queues is .+, neither/],
  [{ queues: { only: ['email'] } as never }, 'TypeError', /: queues is .+, neither/],
  [{ queues: [''] }, 'RangeError', /^Cannot name a queue/],
  [{ queues: ['q'.repeat(129)] }, 'RangeError', /^Cannot name a queue/],
  [{ queues: [null as never] }, 'TypeError', /^Cannot name a queue/],
  [{ queues: ['a\u0000b'] }, 'RangeError', /a character that PostgreSQL cannot hold$/]
]
for (const [options, kind, message] of REFUSED) {
  test(`does not start, and says why: ${kind} ${message.source}`, async () => {
    // Nothing listens there: it says so before it connects.
    const connection = 'postgres://nobody@127.0.0.1:1/nothing'
    const error = await startWorker({ connection, tasks: Object.fromEntries(all), ...options }).catch(error => error)
    assert.is(error.code ?? error.constructor.name, kind, error.message)
    assert.match(error.message, message)
    assert.match(error.message, /^Cannot (start a worker|read|name)/)
  })
}

test('has a choice with the versions of its own tasks alone', () => {
  const versioned = new Map<string, Task>([
    ...all,
    ['Report', defineTask({ name: 'Report', version: 3, run: () => {} })]
  ])
  const queues = readQueues({ queues: { except: [Queue.for('a'), 'b'] } })
  assert.equal(toChoice(chooseTasks(versioned, { except: ['Clean'] }), queues), {
    tasks: ['SendEmail', 'Report'],
    versions: { Report: 3 },
    queues: { kind: 'except', names: ['a', 'b'] },
    limited: []
  })
  assert.equal(toChoice(chooseTasks(versioned, { only: ['Clean'] }), readQueues({})).versions, {})
  assert.is(chooseTasks(versioned, {}), versioned)
})

test('waits for what it takes alone: an empty database does not need the queues of its list', async () => {
  const database = await createDatabase({ isEmpty: true })
  const { ran, tasks } = noting('Clean')
  await using worker = await work(database, { tasks, queues: ['later'], ...POLL })
  await worker.ready
  await fill(database, 'Clean', 3)
  await fill(database, 'Clean', 3, { queue: 'later' })
  await hasRun(ran, 3)
  await until(async () => (await countJobs(database)) === 3)
})
