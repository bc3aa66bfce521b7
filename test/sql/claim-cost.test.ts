import { type ClaimRequest, claimJobs } from '../../src/sql/worker/claim.ts'
import { choiceOf } from '../helpers/choice.ts'
import { assert, suite } from '../helpers/suite.ts'
import { type Added, createClaiming } from './claiming.ts'

const test = suite('what claimJobs() reads')

const { sql, add, claim, clear, pagesOf } = await createClaiming()
test.before.each(clear)

const MANY = 20_000
const BOTH = choiceOf('Known', 'Other')

test('is no more behind a long queue that a worker holds than without it', async () => {
  await addMany({ queue: 'long', count: 100_000 })
  assert.is((await claim(1)).length, 1)
  await add({ count: 20 })
  const pages = await pagesOfClaim({ size: 1, scans: 'none' })
  assert.ok(pages < 100, `${pages} pages were read`)
})

test('is only the first jobs of a long queue', async () => {
  await addMany({ queue: 'long', count: 100_000 })
  const pages = await pagesOfClaim({ size: 10 })
  assert.ok(pages < 500, `${pages} pages were read`)
})

test('is no more with many names of queues than with few', async () => {
  await sql`
    insert into graphile_worker._private_job_queues (queue_name) select 'idle ' || n from generate_series(1, 20000) n`
  for (let n = 0; n < 20; n++) await add({ queue: `queue ${n}` })
  await sql`vacuum analyze graphile_worker._private_job_queues`
  const pages = await pagesOfClaim({ size: 10 })
  assert.ok(pages < 1_000, `${pages} pages were read`)
})

test('is no more behind many jobs of a task that the worker does not know, or that is paused', async () => {
  const alone = await pagesOfFew(choiceOf('Known'))
  await clear()
  await addMany({ task: 'Unknown' })
  await within(alone, () => pagesOfFew(choiceOf('Known')))
  await clear()
  const before = await pagesOfFew(BOTH)
  await clear()
  await sql`insert into kretes.paused (kind, name, paused_by) values ('task', 'Other', 'me')`
  await addMany({ task: 'Other' })
  await within(before, () => pagesOfFew(BOTH))
})

test('is no more behind many jobs of another task, whatever the statistics of the server say', async () => {
  const alone = await pagesOfFew(choiceOf('Known'))
  const statistics: readonly (() => Promise<unknown>)[] = [
    // As if nearly all jobs could be run, with those of the other task behind them.
    async () => {
      await add({ count: 2_000 })
      await add({ task: 'Unknown', count: 100 })
    },
    // As if there were hardly any jobs.
    () => add({ count: 1 }),
    async () => {}
  ]
  for (const arrange of statistics) {
    await clear()
    await arrange()
    await sql`vacuum analyze graphile_worker._private_jobs`
    await sql`delete from graphile_worker._private_jobs`
    await addMany({ task: 'Unknown' })
    await add({ count: 20 })
    await within(alone * 2, () =>
      pagesOf(claimJobs('graphile_worker', { worker: 'me', choice: choiceOf('Known'), size: 10 }))
    )
  }
})

test('is no more behind many jobs without a queue for a worker that takes only jobs of queues', async () => {
  const choice = { ...choiceOf('Known'), queues: { kind: 'only' as const, names: ['a'] } }
  await add({ queue: 'a', count: 20 })
  const alone = await pagesOfClaim({ size: 10, choice })
  await clear()
  await addMany()
  await add({ queue: 'a', count: 20 })
  await within(alone, () => pagesOfClaim({ size: 10, choice }))
})

test('is no more behind the long backlog of a queue for a worker that takes jobs without a queue', async () => {
  const choice = { ...choiceOf('Known'), queues: { kind: 'none' as const, names: [] } }
  const alone = await pagesOfFew(choice)
  await clear()
  await addMany({ queue: 'a' })
  await within(alone, () => pagesOfFew(choice))
})

/** What a claim of ten of twenty jobs reads, which come after all others. */
async function pagesOfFew(choice: ClaimRequest['choice']): Promise<number> {
  await add({ count: 20 })
  return await pagesOfClaim({ size: 10, choice })
}

async function pagesOfClaim(request: Omit<ClaimRequest, 'worker' | 'choice'> & Partial<ClaimRequest>): Promise<number> {
  await sql`vacuum analyze graphile_worker._private_jobs`
  return await pagesOf(claimJobs('graphile_worker', { worker: 'me', choice: choiceOf('Known'), ...request }))
}

/** The indexes of more jobs are a little higher, and there are more of them to write to. */
async function within(pages: number, read: () => Promise<number>): Promise<void> {
  const more = await read()
  const locked = await sql`select from graphile_worker._private_jobs where locked_by = 'me'`
  assert.is(locked.length, 10)
  assert.ok(more < pages * 2, `${more} pages were read instead of ${pages}`)
}

/** Adds many jobs that come before all others. */
async function addMany({ count = MANY, ...job }: Added = {}): Promise<void> {
  await add({ ...job, minutes: 60 })
  await sql`
    insert into graphile_worker._private_jobs (job_queue_id, task_id, payload, run_at)
    select job_queue_id, task_id, payload, run_at from graphile_worker._private_jobs, generate_series(1, ${count}::int)`
}
