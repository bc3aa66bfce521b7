import pg from 'pg'
import { createBackground, Queue, Snooze } from '../../mod.ts'
import { KEEPS_ALL } from '../../src/sql/ledger/record.ts'
import type { Ending } from '../../src/sql/worker/ending.ts'
import { requeueOrFailJobs } from '../../src/sql/worker/requeue.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { endingOf } from '../helpers/ending.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createRecorder, work } from './work.ts'

const test = suite('a run that does not succeed')
const writing = suite('a failure that is written twice')

const database = await createDatabase()
const { sql } = database
const background = createBackground({ connection: database.url })
onceDone(() => background.close())

test('may snooze, even on its last attempt, and that counts as no attempt and no failure', async () => {
  const seen: number[] = []
  const log = createRecorder()
  await using _worker = await work(database, {
    logger: log,
    tasks: {
      Patient: async (_input, { attempt }) => {
        seen.push(attempt)
        if (seen.length === 1) throw new Snooze(200)
        if (seen.length === 2) throw new Snooze({ until: new Date(Date.now() + 300) })
        if (seen.length === 3)
          throw Object.assign(new Error(), { [Symbol.for('kretes.error.snooze')]: true, delayMs: 0 })
      }
    }
  })
  await background.schedule({ task: 'Patient', maxAttempts: 1, queue: Queue.for('patients') })
  await until(() => log.of('job.succeeded').length === 1)
  assert.equal(seen, [1, 1, 1, 1])
  assert.is(log.of('job.failed').length, 0)
  assert.equal(
    log.of('job.snoozed').map(({ level }) => level),
    ['info', 'info', 'info']
  )
})

test('and snoozes keeps the error of an earlier attempt', async () => {
  let runs = 0
  await using _worker = await work(database, {
    backoff: { type: 'fixed', delay: 0 },
    tasks: {
      Mixed: () => {
        if (++runs === 1) throw new Error('a real failure')
        throw new Snooze('1h')
      }
    }
  })
  const { id } = await background.schedule({ task: 'Mixed' })
  const row = await until(async () => {
    const [found] = await sql`
      select attempts, last_error, extract(epoch from run_at - now())::int as wait
      from graphile_worker.jobs where id = ${id} and locked_at is null and run_at > now() + interval '50 minutes'`
    return found
  })
  assert.match(row?.last_error, /^Error: a real failure/)
  assert.is(row?.attempts, 1)
  assert.ok(row?.wait > 3_500 && row?.wait <= 3_600)
})

for (const length of ['soon', -1, { until: 'never' }] as never[]) {
  test(`cannot snooze for ${JSON.stringify(length)}`, () => {
    assert.throws(() => new Snooze(length), /^(Type|Range)?Error: Cannot snooze|Cannot snooze/)
  })
}

test('because the worker stops goes back at no cost of an attempt', async () => {
  const worker = await work(database, {
    tasks: {
      Endless: (_input, { signal }) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    }
  })
  const { id } = await background.schedule({ task: 'Endless' })
  await until(() => worker.running === 1)
  const { unfinished } = await worker.stop({ timeout: 0 })
  assert.is(unfinished, 1)
  const [row] =
    await sql`select attempts, locked_at, last_error, run_at <= now() as due from graphile_worker.jobs where id = ${id}`
  assert.equal({ ...row }, { attempts: 0, locked_at: null, last_error: null, due: true })
})

test('is written once though connections are lost all the time', async () => {
  const { url, sql } = await createDatabase()
  await using own = createBackground({ connection: url })
  const runs = new Map<string, number>()
  await own.scheduleMany({
    task: 'Twice',
    payloads: Array.from({ length: 300 }, (_, n) => ({ n })),
    maxAttempts: 3,
    queue: null
  })
  await using worker = await work({ url } as typeof database, {
    backoff: [50, 0],
    tasks: {
      Twice: async (_input, { job, attempt }) => {
        runs.set(job.id, (runs.get(job.id) ?? 0) + 1)
        await new Promise(resolve => setTimeout(resolve, 20))
        if (attempt < 3) throw new Error('not yet')
      }
    }
  })
  let terminated = 0
  let begun = 0
  await until(
    async () => {
      const [left] = await sql<{ count: number }[]>`select count(*)::int from graphile_worker.jobs`
      if (left?.count === 0) return true
      // However slow the machine, something is done between two faults.
      const now = [...runs.values()].reduce((sum, count) => sum + count, 0)
      if (now < begun + 20) return false
      begun = now
      const hit = await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'kretes worker' and pid <> pg_backend_pid()`
      terminated += hit.length
      return false
    },
    { intervalMs: 150 }
  )
  assert.ok(terminated > 10, `${terminated} connections were lost`)
  assert.is(worker.running, 0)
  assert.equal([...new Set(runs.values())], [3])
})

const client = new pg.Client({ connectionString: database.url })
await client.connect()
onceDone(() => client.end())
/** No fetch follows another of the same job so soon as they do here. */
let locks = 0

async function lock(): Promise<Ending> {
  const { id } = await background.schedule({ task: 'Held' })
  return await relock(id)
}

async function relock(id: string): Promise<Ending> {
  const [row] = await sql<{ attempts: number; locked_at: Date }[]>`
    update graphile_worker._private_jobs
    set
      locked_by = 'me',
      locked_at = clock_timestamp() + ${++locks} * interval '100 ms',
      attempts = attempts + 1
    where id = ${id} returning attempts, locked_at`
  const { attempts = 0, locked_at = new Date() } = row ?? {}
  return endingOf({
    id,
    attempt: attempts,
    lockedAtMs: locked_at.getTime(),
    state: 'snoozed',
    next: { kind: 'wait', delayMs: 5_000 }
  })
}

async function write(ending: Ending): Promise<void> {
  const { text, values } = requeueOrFailJobs('graphile_worker', KEEPS_ALL, 'me', [ending])
  await client.query(text, [...values])
}

async function rowOf(id: string): Promise<Record<string, unknown>> {
  const [row] = await sql`
    select attempts, locked_by, round(extract(epoch from run_at - now()))::int as wait
    from graphile_worker._private_jobs where id = ${id}`
  return { ...row }
}

writing('changes nothing the second time, though others have set the job meanwhile', async () => {
  const outcome = await lock()
  await write(outcome)
  assert.equal(await rowOf(outcome.id), { attempts: 0, locked_by: null, wait: 5 })
  await sql`select graphile_worker.reschedule_jobs(array[${outcome.id}]::bigint[], run_at => now() + interval '1 minute')`
  await write(outcome)
  assert.equal(await rowOf(outcome.id), { attempts: 0, locked_by: null, wait: 60 })
})

writing('is recorded once, with what the database knows of it', async () => {
  const ending: Ending = {
    ...(await lock()),
    state: 'failed',
    error: '{"message":"no"}',
    next: { kind: 'fail', reason: 'no' }
  }
  await write(ending)
  await write(ending)
  const runs = await sql`
    select state, attempt, worker, error_message, result, payload, log from kretes.runs where job_id = ${ending.id}`
  const what = { state: 'failed', attempt: 1, worker: 'me', error_message: 'no' }
  assert.equal([...runs], [{ ...what, result: null, payload: null, log: null }])
  const counted = await sql`select sum(runs)::int as runs from kretes.counters where task = 'Held' and state = 'failed'`
  assert.is(counted[0]?.runs, 1)
  const { attempts, locked_by } = await rowOf(ending.id)
  assert.equal([attempts, locked_by], [25, null])
})

writing('does not unlock the job when this very worker runs it again', async () => {
  const outcome = await lock()
  await write(outcome)
  await relock(outcome.id)
  await write(outcome)
  assert.is((await rowOf(outcome.id)).locked_by, 'me')
})

writing('leaves a job alone that somebody else has', async () => {
  const outcome = await lock()
  await sql`update graphile_worker._private_jobs set locked_by = 'another' where id = ${outcome.id}`
  await write(outcome)
  assert.is((await rowOf(outcome.id)).locked_by, 'another')
})

writing('gives no attempt back to a job whose attempts were taken away meanwhile', async () => {
  const outcome = await lock()
  await sql`update graphile_worker._private_jobs set attempts = max_attempts where id = ${outcome.id}`
  await write(outcome)
  assert.is((await rowOf(outcome.id)).attempts, 25)
})

writing('is removed if it was cancelled meanwhile', async () => {
  const outcome = await lock()
  assert.is(await background.cancel(outcome.id), 'cancelling')
  await write(outcome)
  assert.equal(await rowOf(outcome.id), {})
})
