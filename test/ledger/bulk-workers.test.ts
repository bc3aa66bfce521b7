import { createBackground, type JobSelection } from '../../mod.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { countJobs, fill, work } from '../worker/work.ts'

const test = suite('bulk actions beside workers')

test('lose no job, run none twice, and end', async () => {
  const database = await createDatabase()
  const { sql } = database
  await using background = createBackground({ connection: database.url })
  await background.migrate()
  const failed = new Set<string>()
  const running = new Set<string>()
  const twice: string[] = []
  const Fragile = async (_: object, { job }: { job: { id: string } }): Promise<void> => {
    if (running.has(job.id)) twice.push(job.id)
    running.add(job.id)
    await new Promise(setImmediate)
    running.delete(job.id)
    if (failed.has(job.id)) return
    failed.add(job.id)
    throw new Error('not yet')
  }
  const total = 1_200
  await fill(database, 'Fragile', total - 200)
  await fill(database, 'Fragile', 200, { queues: 5 })
  // Without help none of those that have failed runs again.
  const options = { tasks: { Fragile }, backoff: { type: 'fixed', delay: '1h' } as const, localQueueTtl: 5 }
  await Promise.all([work(database, options), work(database, options)])

  const task = { task: 'Fragile' } satisfies JobSelection
  const whileAny = async (act: () => Promise<unknown>): Promise<void> => {
    while ((await countJobs(database)) > 0) await act()
  }
  let deleted = 0
  await Promise.all([
    whileAny(() => background.retry(task)),
    whileAny(() => background.runNow(task)),
    whileAny(() => background.cancel(task, { limit: 2 })),
    whileAny(async () => {
      deleted += (await background.delete({ ...task, state: 'retrying' }, { limit: 2 })).changed
    })
  ])
  const [ended] = await sql`
    select
      count(*)::int as runs,
      count(distinct job_id)::int as jobs,
      (count(*) filter (where state = 'succeeded') > 0) as "haveSome",
      (count(*) filter (where state = 'cancelled') > 0) as "wereCancelled"
    from kretes.runs where state in ('succeeded', 'cancelled')`
  assert.equal(twice, [], 'run at the same time')
  const left = total - deleted
  assert.equal({ ...ended }, { runs: left, jobs: left, haveSome: true, wereCancelled: true })
})
