import { createBackground } from '../../src/background.ts'
import { poolOf } from '../../src/database/connections/pool.ts'
import { silentLogger } from '../../src/logger.ts'
import type { ClaimedJob } from '../../src/sql/worker/claim.ts'
import type { Task, TaskContext } from '../../src/task.ts'
import { createClaims } from '../../src/worker/claiming/claims.ts'
import { createEndings } from '../../src/worker/execution/ending.ts'
import { releaseClaims } from '../../src/worker/peers/release.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { endingOf } from '../helpers/ending.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { countJobs, createRecorder, fill, work } from './work.ts'

const test = suite('jobs that have finished and whose completion did not get through')

for (const ledger of [undefined, false] as const) {
  const how = ledger === false ? 'without a ledger' : 'with their runs'

  test(`are completed when the worker stops, ${how}`, async () => {
    const { database, attempts, Note } = await prepared()
    const worker = await work(database, { tasks: { Note }, ledger })
    await fill(database, 'Note', 3)
    await fill(database, 'Note', 2, { queues: 2 })
    await until(() => attempts.length === 5)
    await worker.stop({ timeout: 100 })
    assert.is(await countJobs(database), 0)
    await demandAll(database, attempts, ledger)
  })

  test(`are completed when the engine is started anew, ${how}`, async () => {
    const { database, attempts, Note } = await prepared()
    const { sql } = database
    const logger = createRecorder()
    await work(database, { tasks: { Note }, ledger, logger })
    await fill(database, 'Note', 5)
    await until(() => attempts.length === 5 && logger.of('worker.blocked').length > 0)
    await sql`delete from kretes.workers`
    await until(() => logger.of('worker.declared-dead').length === 1)
    await until(async () => (await countJobs(database)) === 0)
    await demandAll(database, attempts, ledger)
  })
}

for (const ledger of [undefined, false] as const) {
  test(`are left to the worker that has them now, ${ledger === false ? 'without' : 'with'} a ledger`, async () => {
    const database = await createDatabase()
    const { sql } = database
    const gate = Promise.withResolvers<void>()
    const worker = await work(database, { tasks: { Wait: () => gate.promise }, ledger })
    await fill(database, 'Wait', 1)
    await fill(database, 'Wait', 1, { queue: 'one' })
    await until(() => worker.running === 2)
    // As if a peer had taken it for dead while its machine stood still.
    await sql`update graphile_worker._private_jobs set locked_by = 'other', locked_at = now()`
    await sql`update graphile_worker._private_job_queues set locked_by = 'other', locked_at = now()`
    gate.resolve()
    await until(() => worker.running === 0)
    await worker.stop()
    const jobs = await sql`
      select jobs.locked_by as by, queues.locked_by as queue
      from graphile_worker._private_jobs jobs
      left join graphile_worker._private_job_queues queues on queues.id = job_queue_id
      order by jobs.id`
    assert.equal(
      [...jobs],
      [
        { by: 'other', queue: null },
        { by: 'other', queue: 'other' }
      ]
    )
    assert.is((await sql`select from kretes.runs`).length, 0)
  })
}

test('that have failed are recorded when the worker stops, and wait for their next attempt', async () => {
  const database = await createDatabase()
  const { sql } = database
  await using background = createBackground({ connection: database.url })
  await background.migrate()
  await sql`
    create function refuse() returns trigger language plpgsql as $$ begin
      if new.last_error is not null and current_setting('application_name') = 'kretes worker' then
        raise exception using errcode = 'object_not_in_prerequisite_state';
      end if;
      return new;
    end $$`
  await sql`
    create trigger refuse before update on graphile_worker._private_jobs for each row execute function refuse()`
  const logger = createRecorder()
  const worker = await work(database, {
    tasks: {
      Fail: () => {
        throw new Error('it fails')
      }
    },
    backoff: { type: 'fixed', delay: '1h' },
    logger
  })
  await fill(database, 'Fail', 2)
  await until(() => logger.of('job.failed').length === 2 && logger.of('worker.blocked').length > 0)
  await worker.stop({ timeout: 100 })
  const jobs = await sql`
    select attempts, locked_at, run_at > now() + interval '50 minutes' as waits, split_part(last_error, chr(10), 1) as error
    from graphile_worker.jobs`
  const waiting = { attempts: 1, locked_at: null, waits: true, error: 'Error: it fails' }
  assert.equal([...jobs], [waiting, waiting])
  const runs = await sql`select state from kretes.runs`
  assert.equal([...runs], [{ state: 'failed' }, { state: 'failed' }])
})

test('under an earlier lock are released, since that lock says nothing of the run that has the job now', async () => {
  const { sql, url } = await createDatabase()
  await using background = createBackground({ connection: url })
  const { id } = await background.schedule({ task: 'Locked' })
  const [row] = await sql<ClaimedJob[]>`
    update graphile_worker._private_jobs set locked_by = 'me', locked_at = now(), attempts = 1
    where id = ${id} returning *`
  const claims = createClaims()
  const lockedAtMs = (row?.locked_at.getTime() ?? 0) - 5_000
  claims.add([{ ...(row as ClaimedJob), locked_at: new Date(lockedAtMs) }])
  const claim = claims.of(id)
  if (claim) claim.ending = endingOf({ id, lockedAtMs })
  await releaseClaims('me', {
    connections: poolOf(sql),
    schema: 'graphile_worker',
    kept: undefined,
    claims,
    endings: createEndings({ ledger: undefined, logger: silentLogger }),
    logger: silentLogger
  })
  const jobs = await sql`select attempts, locked_at from graphile_worker.jobs`
  assert.equal([...jobs], [{ attempts: 0, locked_at: null }])
})

test('keep their place in their queue when they go back', async () => {
  const database = await createDatabase()
  const order: string[] = []
  const Count: Task<{ n: number }> = async ({ n }, { signal }) => {
    order.push(`began ${n}`)
    if (order.length === 1) await new Promise((_resolve, reject) => signal.addEventListener('abort', reject))
    order.push(`ended ${n}`)
  }
  const worker = await work(database, { tasks: { Count: Count as Task } })
  await fill(database, 'Count', 3, { queue: 'one' })
  await until(() => order.length === 1)
  await worker.stop({ timeout: 0 })
  await work(database, { tasks: { Count: Count as Task } })
  await until(() => order.length === 7)
  assert.equal(order, ['began 1', 'began 1', 'ended 1', 'began 2', 'ended 2', 'began 3', 'ended 3'])
})

/** A database that takes no completion from the engine, as one does not whose connections are lost. */
async function prepared() {
  const database = await createDatabase()
  const { sql } = database
  await using background = createBackground({ connection: database.url })
  await background.migrate()
  await sql`
    create function refuse() returns trigger language plpgsql as $$ begin
      if current_setting('application_name') = 'kretes worker' then raise exception 'not from you'; end if;
      return null;
    end $$`
  await sql`
    create trigger refuse before delete on graphile_worker._private_jobs for each statement execute function refuse()`
  const attempts: string[] = []
  const Note = (_: object, { job, attempt }: TaskContext): void => void attempts.push(`${job.id} ${attempt}`)
  return { database, attempts, Note }
}

/** Each of five jobs ran once, in its first attempt, and was recorded if there is a ledger. */
async function demandAll({ sql }: TestDatabase, attempts: string[], ledger: false | undefined): Promise<void> {
  assert.is(attempts.length, 5)
  const locked = await sql`select from graphile_worker._private_job_queues where locked_by is not null`
  assert.is(locked.length, 0)
  const runs = await sql`select job_id || ' ' || attempt as run from kretes.runs where state = 'succeeded'`
  assert.equal(runs.map(({ run }) => run).toSorted(), ledger === false ? [] : attempts.toSorted())
}
