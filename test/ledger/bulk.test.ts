import type { PendingQuery, Row } from 'postgres'
import { createBackground } from '../../src/background.ts'
import type { Job } from '../../src/job.ts'
import type { BulkResult } from '../../src/manage/bulk.ts'
import type { JobSelection } from '../../src/manage/selection.ts'
import { Queue } from '../../src/queue.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { insertRuns } from './rows.ts'

const all = suite('bulk actions')
const retry = suite('retry()')
const cancel = suite('cancel() of many')
const removal = suite('delete()')
const runNow = suite('runNow()')

const { sql, url } = await createDatabase()
const background = createBackground({ connection: url })
onceDone(() => background.close())
await background.migrate()

const NOTHING: BulkResult = { matched: 0, changed: 0, running: 0, missing: [], scheduled: [] }

retry('gives failed jobs all their attempts again, now, and leaves the others alone', async () => {
  const jobs = await createStates()
  assert.equal(await background.retry({ task: 'Any' }), { ...NOTHING, matched: 2, changed: 2 })
  for (const job of [jobs.failed, jobs.retrying]) {
    const now = await rowOf(job)
    assert.equal([now.attempts, now.isDue, now.isLocked, now.error], [0, true, false, 'It broke'])
  }
  const { scheduled, running, waiting } = jobs
  assert.is((await rowOf(scheduled)).isDue, false)
  assert.equal([(await rowOf(running)).attempts, (await rowOf(running)).isLocked], [1, true])
  assert.is((await rowOf(waiting)).attempts, 0)
})

retry('can be told which of the two', async () => {
  const jobs = await createStates()
  assert.equal(await background.retry({ state: 'failed' }), { ...NOTHING, matched: 1, changed: 1 })
  assert.is((await rowOf(jobs.retrying)).isDue, false)
})

retry('keeps the order of a queue', async () => {
  await sql`delete from graphile_worker._private_jobs`
  const queue = Queue.for('in order')
  const jobs = await background.scheduleMany(Array.from({ length: 20 }, () => ({ task: 'Any', queue, delay: '1h' })))
  await sql`update graphile_worker._private_jobs set attempts = max_attempts`
  await background.retry({ queue })
  const rows = await sql<{ id: string }[]>`select id from graphile_worker._private_jobs order by priority, run_at`
  assert.equal(
    rows.map(({ id }) => id),
    jobs.map(({ id }) => id)
  )
})

retry('takes away the marks by which a worker would end the job again', async () => {
  const { failed } = await createStates()
  await sql`
    update graphile_worker._private_jobs
    set flags = '{"kretes:cancelled": "2030-01-31", "kretes:lost": 3, "kretes:started": "w", "mine": true}' where id = ${failed.id}`
  await background.retry(failed)
  const [row] = await sql`select flags from graphile_worker._private_jobs where id = ${failed.id}`
  assert.equal(row?.flags, { mine: true })
})

retry('schedules a job anew that is gone, with the payload of its last run', async () => {
  await sql`delete from graphile_worker._private_jobs`
  const taken = await background.schedule({ task: 'Other', key: 'taken' })
  const run = { task: 'Gone', queue: 'email', priority: 5, maxAttempts: 3 }
  await insertRuns(sql, [
    { ...run, job: 800_001, state: 'failed', payload: { old: true }, agoMs: 5_000 },
    { ...run, job: 800_001, key: 'free', payload: { to: 'a' } },
    { ...run, job: 800_002, key: 'taken', payload: {} }
  ])
  const looked = await background.retry(['800001', '800002'], { dryRun: true })
  assert.equal(looked, { ...NOTHING, matched: 2, changed: 2 })
  const { scheduled, ...result } = await background.retry(['800001', '800002', '800003'])
  assert.equal(result, { matched: 2, changed: 2, running: 0, missing: ['800003'] })
  const [first, second] = await Promise.all(scheduled.map(id => background.job(id)))
  assert.equal(
    [first?.task, first?.queue, first?.priority, first?.maxAttempts, first?.key, first?.payload, first?.state],
    ['Gone', 'email', 5, 3, 'free', { to: 'a' }, 'waiting']
  )
  assert.equal([second?.key, second?.payload], [null, {}])
  assert.is((await background.job('taken'))?.id, taken.id)
})

retry('refuses a job that is gone without its payload, before anything is changed', async () => {
  const { failed } = await createStates()
  await insertRuns(sql, [{ job: 800_010, payload: null }])
  const error = await rejection(background.retry([failed, '800010']))
  assert.is((error as { code?: string }).code, 'JOB_GONE')
  assert.is(
    error.message,
    'Cannot retry job 800010: it is gone (its last run: succeeded), and the ledger has not kept its payload. Schedule a new job'
  )
  assert.is((await rowOf(failed)).attempts, 25)
})

runNow('has jobs run that wait for their time, with the attempts that they have left', async () => {
  const jobs = await createStates()
  assert.equal(await background.runNow({ task: 'Any' }), { ...NOTHING, matched: 2, changed: 2 })
  assert.equal([(await rowOf(jobs.scheduled)).isDue, (await rowOf(jobs.scheduled)).attempts], [true, 0])
  assert.equal([(await rowOf(jobs.retrying)).isDue, (await rowOf(jobs.retrying)).attempts], [true, 2])
  assert.is((await rowOf(jobs.failed)).attempts, 25)
})

runNow('changes nothing of jobs that wait, run or have failed, if they are named', async () => {
  const { waiting, running, failed } = await createStates()
  const before = await Promise.all([waiting, running, failed].map(rowOf))
  const result = await background.runNow([waiting, running, failed])
  assert.equal(result, { ...NOTHING, matched: 3, changed: 0, running: 1 })
  assert.equal(await Promise.all([waiting, running, failed].map(rowOf)), before)
})

for (const action of ['retry', 'runNow'] as const) {
  const test = { retry, runNow }[action]
  test('tells workers, which would find the jobs only when they poll', async () => {
    await createStates()
    let listening: Promise<{ unlisten(): Promise<void> }> | undefined
    const heard = new Promise<string>(resolve => {
      listening = sql.listen('jobs:insert', resolve)
      listening.then(() => background[action]({ state: 'retrying' }))
    })
    assert.equal(JSON.parse(await heard), { count: 1 })
    await (await listening)?.unlisten()
  })
}

removal('removes what no worker has, and counts what one has', async () => {
  const jobs = await createStates()
  const looked = await background.delete({ task: 'Any' }, { dryRun: true })
  assert.equal(looked, { ...NOTHING, matched: 6, changed: 4, running: 2 })
  assert.is(await count(), 6)
  assert.equal(await background.delete({ task: 'Any' }), looked)
  const left = await sql<{ id: string }[]>`select id from graphile_worker._private_jobs order by id`
  assert.equal(
    left.map(({ id }) => id),
    [jobs.running.id, jobs.fetched.id]
  )
})

removal('leaves a job alone that a worker has had for longer than the engine expects', async () => {
  const { running } = await createStates()
  await sql`update graphile_worker._private_jobs set locked_at = now() - interval '5 hours' where id = ${running.id}`
  assert.equal(await background.delete(running), { ...NOTHING, matched: 1, running: 1 })
  assert.is((await rowOf(running)).isLocked, true)
})

removal('takes ids, jobs and keys, and tells which there are not', async () => {
  await sql`delete from graphile_worker._private_jobs`
  const first = await background.schedule({ task: 'Any' })
  const second = await background.schedule({ task: 'Any', key: 'second' })
  const third = await background.schedule({ task: 'Any', key: '333' })
  const other = await background.schedule({ task: 'Any', key: 'other' })
  const chosen = [first.id, second, { key: '333' }, { key: 'no such key' }, '9223372036854775807']
  assert.equal(await background.delete(chosen), {
    ...NOTHING,
    matched: 3,
    changed: 3,
    missing: ['no such key', '9223372036854775807']
  })
  assert.is(await background.job(third), undefined)
  assert.equal(await background.delete({ key: 'other' }), { ...NOTHING, matched: 1, changed: 1 })
  assert.is(await background.job(other), undefined)
  assert.equal(await background.delete([]), NOTHING)
})

removal('takes any number of ids, and counts a job once that is named more than once', async () => {
  await sql`delete from graphile_worker._private_jobs`
  const rows = await sql<{ id: string }[]>`
    select (graphile_worker.add_job('Any', job_key => 'key ' || n)).id::text from generate_series(1, 2100) n`
  const ids = rows.map(({ id }) => id)
  const chosen = [...ids, ids[0]!, { key: 'key 1' }, '9223372036854775807']
  const expected = { ...NOTHING, matched: 2100, changed: 2100, missing: ['9223372036854775807'] }
  assert.equal(await background.retry(chosen, { dryRun: true }), { ...expected, changed: 0 })
  assert.equal(await background.delete(chosen, { dryRun: true }), expected)
  assert.equal(await background.delete(chosen), expected)
})

cancel('removes what waits, and tells the workers of the rest', async () => {
  const jobs = await createStates()
  const looked = await background.cancel({ task: 'Any' }, { dryRun: true })
  assert.equal(looked, { ...NOTHING, matched: 6, changed: 6, running: 2 })
  assert.equal(await background.cancel({ task: 'Any' }), looked)
  const rows = await sql`select id, flags, attempts from graphile_worker._private_jobs order by id`
  assert.equal(
    rows.map(({ id, flags, attempts }) => [id, typeof flags['kretes:cancelled'], attempts]),
    [jobs.running, jobs.fetched].map(({ id }) => [id, 'string', 25])
  )
})

cancel('still takes one job, and says what becomes of it', async () => {
  const { waiting, running } = await createStates()
  assert.equal(
    [await background.cancel(waiting), await background.cancel(running.id), await background.cancel('no such key')],
    ['removed', 'cancelling', 'not found']
  )
})

all('go on in batches, to the last job that was there at the beginning', async () => {
  await sql`delete from graphile_worker._private_jobs`
  await fill(2_500)
  const progress: [number, number][] = []
  const result = await background.delete(
    { task: 'Many' },
    {
      onProgress: ({ matched, changed }) => progress.push([matched, changed])
    }
  )
  assert.equal(result, { ...NOTHING, matched: 2_500, changed: 2_500 })
  assert.equal(progress, [
    [1_000, 1_000],
    [2_000, 2_000],
    [2_500, 2_500]
  ])
})

all('leave jobs alone that come meanwhile', async () => {
  await sql`delete from graphile_worker._private_jobs`
  await fill(1_500)
  let coming: Promise<unknown> | undefined
  const onProgress = (): void => {
    coming ??= background.schedule({ task: 'Many' })
  }
  const result = await background.delete({ task: 'Many' }, { onProgress })
  await coming
  assert.equal([result.changed, await count()], [1_500, 1])
})

all('take the oldest so many, and look at no more in a dry run', async () => {
  await sql`delete from graphile_worker._private_jobs`
  await fill(1_200)
  assert.is((await background.delete({ all: true }, { dryRun: true, limit: 1_100 })).changed, 1_100)
  assert.is((await background.delete({ all: true }, { limit: 1_100 })).changed, 1_100)
  assert.is(await count(), 100)
  assert.is((await background.delete({ all: true }, { limit: 1 })).changed, 1)
})

all('take a text for a key unless it is of digits, alone or in a list', async () => {
  const scheduleBoth = () =>
    background.scheduleMany([
      { task: 'Any', key: 'by key', delay: '1h' },
      { task: 'Any', key: '42', delay: '1h' }
    ])
  for (const act of [background.cancel, background.delete, background.runNow]) {
    await scheduleBoth()
    assert.equal(await act(['by key', { key: '42' }]), { ...NOTHING, matched: 2, changed: 2 })
    await sql`delete from graphile_worker._private_jobs`
  }
  assert.equal(await background.retry('by key'), { ...NOTHING, missing: ['by key'] })
  await scheduleBoth()
  assert.is(await background.cancel('by key'), 'removed')
  assert.is((await background.job({ key: '42' }))?.key, '42')
  assert.is((await background.reschedule('by key', { delay: 0 }).catch(({ code }) => code)) as string, 'JOB_GONE')
  await scheduleBoth()
  assert.is((await background.reschedule('by key', { priority: 3 })).priority, 3)
  assert.is((await background.unschedule('by key')).key, 'by key')
})

all('end after the batch at hand when their signal aborts', async () => {
  await sql`delete from graphile_worker._private_jobs`
  await fill(2_500)
  const stop = new AbortController()
  const reason = new Error('Enough')
  const call = background.delete({ all: true }, { signal: stop.signal, onProgress: () => stop.abort(reason) })
  assert.is(await rejection(call), reason)
  assert.is(await count(), 1_500)
  assert.is(await rejection(background.delete({ all: true }, { signal: stop.signal })), reason)
  assert.is(await count(), 1_500)
})

all('wait for somebody else who changes a job, and look again', async () => {
  const { failed, retrying } = await createStates()
  const taken = sql`
    update graphile_worker._private_jobs set locked_at = now(), locked_by = 'quick' where id = ${retrying.id}`
  const result = await whileLocked(taken, () => background.retry({ task: 'Any' }))
  // A worker has taken it in between: it is left alone.
  assert.is(result.changed, 1)
  assert.equal([(await rowOf(retrying)).attempts, (await rowOf(retrying)).isLocked], [2, true])
  assert.is((await rowOf(failed)).attempts, 0)
})

cancel('tells a worker that takes a job between the look and the lock', async () => {
  const { waiting, failed } = await createStates()
  const taken = sql`
    update graphile_worker._private_jobs set locked_at = now(), locked_by = 'ours', attempts = 1 where id = ${waiting.id}`
  const result = await whileLocked(taken, () => background.cancel([waiting, failed]))
  assert.equal(result, { ...NOTHING, matched: 2, changed: 2, running: 1 })
  const rows = await sql`select id, flags from graphile_worker._private_jobs where id in (${waiting.id}, ${failed.id})`
  assert.equal(
    rows.map(({ id, flags }) => [id, typeof flags['kretes:cancelled']]),
    [[waiting.id, 'string']]
  )
})

cancel('leaves a job alone that is of another state by then', async () => {
  const { failed, scheduled } = await createStates()
  const retried = sql`update graphile_worker._private_jobs set attempts = 0 where id = ${failed.id}`
  const result = await whileLocked(retried, () => background.cancel({ state: ['failed', 'scheduled'] }))
  assert.equal(result, { ...NOTHING, matched: 2, changed: 1 })
  assert.is((await rowOf(failed)).attempts, 0)
  assert.is((await background.job(scheduled))?.isGone, true)
})

for (const [selection, message] of [
  [{}, 'delete jobs: the filter is empty. If you mean all jobs, pass { all: true }'],
  [{ all: false }, 'delete jobs: the filter is empty. If you mean all jobs, pass { all: true }'],
  [{ search: '' }, 'delete jobs: the filter is empty. If you mean all jobs, pass { all: true }'],
  [{ task: undefined }, 'delete jobs: the filter is empty. If you mean all jobs, pass { all: true }'],
  [{ all: 1 }, 'delete jobs: all is 1, neither true nor false'],
  [{ taks: 'Any' }, 'delete jobs: there is no condition taks. Did you mean task?'],
  [{ state: 'running' }, 'delete jobs: state is "running", none of waiting, scheduled, retrying, failed'],
  [undefined, 'delete jobs: the conditions are of type undefined, not an object'],
  [[7], 'delete a job: the argument is 7, not a job, an id or { key }']
] as const) {
  removal(`refuses ${JSON.stringify(selection)}`, async () => {
    const error = await rejection(background.delete(selection as JobSelection))
    assert.instance(error, TypeError)
    assert.is(error.message, `Cannot ${message}`)
  })
}

for (const [options, message] of [
  [{ limit: 0 }, /^Cannot retry jobs: limit is 0, not a whole number from 1 to /],
  [{ limit: 'all' }, /^Cannot retry jobs: limit is "all", not a number$/]
] as const) {
  all(`refuse ${JSON.stringify(options)}`, async () => {
    assert.match((await rejection(background.retry({ all: true }, options as never))).message, message)
  })
}

/** Begins an action that has to wait for somebody who changes a job, and lets it go on. */
async function whileLocked(changing: PendingQuery<Row[]>, act: () => Promise<BulkResult>): Promise<BulkResult> {
  let result: Promise<BulkResult> | undefined
  await sql.begin(async transaction => {
    await transaction`${changing}`
    result = act()
    await until(
      async () =>
        (await sql`select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`).length
    )
  })
  return await result!
}

/** A job in each state, and one that a worker has fetched ahead. */
async function createStates() {
  await sql`delete from graphile_worker._private_jobs`
  const waiting = await background.schedule({ task: 'Any' })
  const scheduled = await background.schedule({ task: 'Any', delay: '1h' })
  const running = await background.schedule({ task: 'Any' })
  const retrying = await background.schedule({ task: 'Any', delay: '1h' })
  const failed = await background.schedule({ task: 'Any' })
  const fetched = await background.schedule({ task: 'Any' })
  await sql`
    insert into kretes.workers (id, host, pid, concurrency) values ('ours', 'here', 1, 1) on conflict do nothing`
  await sql`
    update graphile_worker._private_jobs set locked_at = now(), locked_by = 'a worker', attempts = 1 where id = ${running.id}`
  await sql`
    update graphile_worker._private_jobs set locked_at = now(), locked_by = 'ours', attempts = 1 where id = ${fetched.id}`
  await sql`update graphile_worker._private_jobs set attempts = 2, last_error = 'It broke' where id = ${retrying.id}`
  await sql`update graphile_worker._private_jobs set attempts = 25, last_error = 'It broke' where id = ${failed.id}`
  return { waiting, scheduled, running, retrying, failed, fetched }
}

async function fill(jobs: number): Promise<void> {
  const payloads = Array.from({ length: jobs }, () => ({}))
  await background.scheduleMany({ task: 'Many', payloads }, { returning: false })
}

async function count(): Promise<number> {
  const [row] = await sql<{ count: number }[]>`select count(*)::int as count from graphile_worker._private_jobs`
  return row!.count
}

async function rowOf({ id }: Job) {
  const [row] = await sql<{ attempts: number; isDue: boolean; isLocked: boolean; error: string | null }[]>`
    select attempts, run_at <= clock_timestamp() as "isDue", locked_at is not null as "isLocked", last_error as error
    from graphile_worker._private_jobs where id = ${id}`
  return row!
}

async function rejection(call: Promise<unknown>): Promise<Error> {
  return await call.then(
    () => assert.unreachable('it did not reject') as never,
    error => error
  )
}
