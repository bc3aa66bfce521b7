import { createBackground } from '../../src/background.ts'
import type { JobFilter } from '../../src/manage/filter.ts'
import { Queue } from '../../src/queue.ts'
import type { JobState } from '../../src/rules/states.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { insertRuns } from './rows.ts'

const listing = suite('jobs()')
const looking = suite('job()')

const { sql, url } = await createDatabase()
const background = createBackground({ connection: url })
onceDone(() => background.close())

listing('finds nothing where nothing is', async () => {
  await background.migrate()
  const page = await background.jobs()
  assert.equal([page.jobs, page.cursor, page.at instanceof Date], [[], undefined, true])
})

listing('lists every state, those scheduled last first', async () => {
  const ids = await createStates()
  const { jobs, cursor } = await background.jobs()
  const states = new Map(Object.entries(ids).map(([state, id]) => [id, state.replace('2', '')]))
  assert.equal(
    jobs.map(({ id, state }) => [id, state]),
    [...states].reverse()
  )
  assert.is(cursor, undefined)
})

listing('tells all there is to know of a job', async () => {
  const { running } = await createStates()
  await sql`
    insert into kretes.progress (job_id, attempt, progress, message, updated_at) values (${running}, 1, 0.25, 'a quarter', now())`
  const { jobs } = await background.jobs({ state: 'running' })
  const [{ scheduledAt, runAt, fetchedAt, updatedAt, ...job }] = jobs as [(typeof jobs)[0]]
  for (const time of [scheduledAt, runAt, fetchedAt, updatedAt]) {
    assert.instance(time, Date)
    assert.ok(Math.abs(time!.getTime() - Date.now()) < 60_000)
  }
  assert.equal(job, {
    id: running,
    task: 'Run',
    queue: 'email',
    key: 'the running one',
    state: 'running',
    payload: { to: 'running@example.com' },
    priority: 3,
    attempts: 1,
    maxAttempts: 7,
    worker: 'a worker',
    error: null,
    progress: 0.25,
    progressMessage: 'a quarter',
    schedule: null,
    occurrence: null
  })
})

for (const state of ['waiting', 'scheduled', 'running', 'retrying', 'failed'] as const) {
  listing(`filters by ${state}`, async () => {
    const ids = await createStates()
    const expected = Object.entries(ids).filter(([name]) => name.startsWith(state))
    const { jobs } = await background.jobs({ state })
    assert.equal(jobs.map(({ id }) => id).sort(byNumber), expected.map(([, id]) => id).sort(byNumber))
  })
}

const every = ['waiting', 'scheduled', 'running', 'retrying', 'failed'] as const
const filters: [JobFilter, (keyof Awaited<ReturnType<typeof createStates>>)[]][] = [
  [{ state: ['running', 'failed'] }, ['running', 'failed']],
  [{ task: 'Run' }, ['running']],
  [{ task: async function Run() {} }, ['running']],
  [{ queue: 'email' }, ['running', 'waiting2']],
  [{ queue: Queue.for('email'), state: 'waiting' }, ['waiting2']],
  [{ queue: 'email', task: 'Fail' }, []],
  [{ task: 'Nobody' }, []],
  [{ search: 'THE RUNNING' }, ['running']],
  [{ search: '100%_of' }, ['failed']],
  [{ search: '100__of' }, []],
  [{ search: '\\' }, ['retrying']],
  [{ search: 'running@example' }, ['running']],
  [{ search: 'it broke' }, ['failed', 'retrying']],
  [{ search: 'retr' }, ['retrying']],
  [{ search: '' }, [...every, 'waiting2']]
]
for (const [filter, expected] of filters) {
  const name = typeof filter.task === 'function' ? 'a task itself' : JSON.stringify(filter)
  listing(`finds by ${name}`, async () => {
    const ids = await createStates()
    const { jobs } = await background.jobs(filter)
    assert.equal(jobs.map(({ id }) => id).sort(byNumber), expected.map(key => ids[key]).sort(byNumber))
  })
}

listing('finds by id, and by nothing like it', async () => {
  const ids = await createStates()
  const { jobs } = await background.jobs({ search: ids.failed })
  assert.equal(
    jobs.map(({ id }) => id),
    [ids.failed]
  )
})

listing('goes through pages, while jobs come and go', async () => {
  await sql`delete from graphile_worker._private_jobs`
  const scheduled = await background.scheduleMany({ task: 'Page', payloads: Array.from({ length: 7 }, () => ({})) })
  await background.schedule({ task: 'Other' })
  const seen: string[] = []
  let cursor: string | undefined
  for (let pages = 0; pages < 3; pages++) {
    const page = await background.jobs({ task: 'Page', limit: 3, cursor })
    assert.is(page.cursor === undefined, pages === 2)
    seen.push(...page.jobs.map(({ id }) => id))
    cursor = page.cursor
    await background.schedule({ task: 'Page' })
    // The job at which the page ended is where the next one begins, there or not.
    await background.unschedule(seen.at(-1)!)
  }
  assert.equal(seen, scheduled.map(({ id }) => id).reverse())
})

listing('gives no cursor with a page that is just full', async () => {
  await sql`delete from graphile_worker._private_jobs`
  await background.scheduleMany({ task: 'Full', payloads: [{}, {}] })
  const page = await background.jobs({ limit: 2 })
  assert.equal([page.jobs.length, page.cursor], [2, undefined])
})

for (const [options, message] of [
  [{ state: 'done' }, 'state is "done", none of waiting, scheduled, running, retrying, failed'],
  [{ state: [] }, 'state is an empty array'],
  [{ state: 'succeeded' }, 'state is "succeeded", none of waiting, scheduled, running, retrying, failed'],
  [{ task: 7 }, 'task is 7, neither a task nor a name'],
  [{ queue: null }, 'queue is null, neither a queue nor a name'],
  [{ search: 7 }, 'search is 7, not a string'],
  [{ search: '\u0000' }, 'search holds a character that PostgreSQL cannot hold'],
  [{ limit: 0 }, 'limit is 0, not a whole number from 1 to 1,000'],
  [{ limit: '5' }, 'limit is "5", not a number'],
  [{ cursor: btoa('["jobs","9223372036854775808"]') }, /^Cannot list jobs: the cursor is "[^"]+", not one/],
  [{ cursor: 'nonsense' }, 'the cursor is "nonsense", not one that came with a page of jobs'],
  [{ cursor: btoa('["runs","1.000000","7",1]') }, /^Cannot list jobs: the cursor is "[^"]+", not one/],
  [{ cursor: btoa('["jobs","7; drop"]') }, /not one that came with a page of jobs$/],
  [{ cursor: 7 }, 'the cursor is of type number, not one that came with a page of jobs'],
  [{ states: 'failed' }, 'there is no condition states. Did you mean state?'],
  [null, 'the conditions are null, not an object']
] as const) {
  listing(`refuses ${JSON.stringify(options)}`, async () => {
    const error = await rejection(background.jobs(options as never))
    assert.ok(error instanceof TypeError || error instanceof RangeError)
    if (typeof message === 'string') assert.is(error.message, `Cannot list jobs: ${message}`)
    else assert.match(error.message, message)
  })
}

looking('tells of a job that is there, with the runs it has behind it', async () => {
  const { retrying } = await createStates()
  const error = {
    name: 'RangeError',
    message: 'It broke',
    stack: 'RangeError: It broke\n  at x',
    cause: { message: 'y' }
  }
  await insertRuns(sql, [
    { job: retrying, task: 'Retry', state: 'snoozed', attempt: 1, agoMs: 2_000 },
    { job: retrying, task: 'Retry', state: 'failed', attempt: 1, agoMs: 1_000, error, log: [{ message: 'line' }] }
  ])
  for (const reference of [retrying, { id: retrying }, { key: 'retry me' }, 'retry me']) {
    const job = await background.job(reference)
    assert.equal([job?.id, job?.state, job?.isGone], [retrying, 'retrying', false])
    assert.equal(
      job?.runs.map(run => [run.job, run.state, run.attempt]),
      [
        [retrying, 'failed', 1],
        [retrying, 'snoozed', 1]
      ]
    )
    assert.equal(job?.runs[0]?.error, error)
    assert.equal(job?.runs[0]?.log, [{ message: 'line' }])
  }
})

looking('tells of a job that is gone by its last run', async () => {
  await insertRuns(sql, [
    { job: 900_001, state: 'failed', attempt: 1, agoMs: 9_000, error: { message: 'No' } },
    {
      job: 900_001,
      attempt: 2,
      key: 'gone',
      queue: 'email',
      priority: 4,
      maxAttempts: 9,
      payload: { a: 1 },
      result: { sent: true },
      waitedMs: 40,
      tookMs: 250
    }
  ])
  const job = await background.job('900001')
  assert.equal(
    [job?.state, job?.isGone, job?.attempts, job?.maxAttempts, job?.payload, job?.queue, job?.key, job?.priority],
    ['succeeded', true, 2, 9, { a: 1 }, 'email', 'gone', 4]
  )
  const [run, first] = job?.runs ?? []
  assert.equal([run?.result, run?.waitedMs, run?.tookMs, first?.error], [{ sent: true }, 40, 250, { message: 'No' }])
})

looking('knows nothing of a job that never was', async () => {
  assert.is(await background.job('9223372036854775807'), undefined)
  assert.is(await background.job('no such key'), undefined)
  const error = await rejection(background.job(7 as never))
  assert.match(error.message, /^Cannot look at a job: the argument is 7, not a job, an id or { key }$/)
})

/** A job in each state, and what each state could be taken for. */
async function createStates() {
  await sql`delete from graphile_worker._private_jobs`
  await sql`delete from kretes.progress`
  const plain = { payload: {} }
  const waiting = await background.schedule({ task: 'Wait', ...plain })
  const scheduled = await background.schedule({ task: 'Later', delay: '1h' })
  const running = await background.schedule({
    task: 'Run',
    queue: Queue.for('email'),
    key: 'the running one',
    payload: { to: 'running@example.com' },
    priority: 3,
    maxAttempts: 7
  })
  const retrying = await background.schedule({ task: 'Retry', key: 'retry me', payload: { path: 'a\\b' } })
  const failed = await background.schedule({ task: 'Fail', payload: { done: '100%_of it' } })
  const waiting2 = await background.schedule({ task: 'Wait', queue: Queue.for('email') })
  await sql`
    update graphile_worker._private_jobs set locked_at = now(), locked_by = 'a worker', attempts = 1 where id = ${running.id}`
  await sql`
    update graphile_worker._private_jobs set attempts = 2, run_at = now() + interval '1 hour', last_error = 'It broke: here'
    where id = ${retrying.id}`
  await sql`
    update graphile_worker._private_jobs set attempts = max_attempts, last_error = 'It broke for good' where id = ${failed.id}`
  // One that a worker of ours has fetched and does not run yet still waits.
  await sql`
    insert into kretes.workers (id, host, pid, concurrency) values ('ours', 'here', 1, 1) on conflict do nothing`
  await sql`
    update graphile_worker._private_jobs set locked_at = now(), locked_by = 'ours', attempts = 1 where id = ${waiting2.id}`
  return {
    waiting: waiting.id,
    scheduled: scheduled.id,
    running: running.id,
    retrying: retrying.id,
    failed: failed.id,
    waiting2: waiting2.id
  } satisfies Record<JobState | 'waiting2', string>
}

function byNumber(left: string, right: string): number {
  return Number(left) - Number(right)
}

async function rejection(call: Promise<unknown>): Promise<Error> {
  return await call.then(
    () => assert.unreachable('it did not reject') as never,
    error => error
  )
}
