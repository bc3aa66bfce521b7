import { createBackground } from '../../src/background.ts'
import { KEEPS_ALL } from '../../src/sql/ledger/record.ts'
import { completeJobs } from '../../src/sql/worker/complete.ts'
import { createDatabase } from '../helpers/database.ts'
import { endingOf } from '../helpers/ending.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('the completion of jobs')

const { sql, url } = await createDatabase()
{
  await using background = createBackground({ connection: url })
  await background.migrate()
}

test.before.each(() => sql`truncate graphile_worker._private_jobs, graphile_worker._private_job_queues, kretes.ledger`)

for (const isRecorded of [true, false]) {
  const how = isRecorded ? 'with a ledger' : 'without a ledger'

  for (const releasesQueues of [true, false]) {
    test(`leaves to others what they have locked, ${how}, ${releasesQueues ? 'in queues' : 'in none'}`, async () => {
      const queue = (name: string): string | null => (releasesQueues ? name : null)
      const [mine, theirs, free] = [await add(queue('one')), await add(queue('two')), await add(queue('three'))]
      await lock('mine', mine)
      await lock('other', theirs)
      await complete('mine', [mine, theirs, free], releasesQueues)
      assert.equal(await rows(), [
        { id: theirs, by: 'other', queue: queue('other') },
        { id: free, by: null, queue: null }
      ])
      assert.equal(await recorded(), isRecorded ? [mine] : [])
      await complete('other', [theirs], releasesQueues)
      assert.equal(
        (await rows()).map(({ id }) => id),
        [free]
      )
      assert.equal(await lockedQueues(), [])
    })
  }

  async function complete(worker: string, ids: readonly string[], isQueued: boolean): Promise<void> {
    const endings = ids.map(id => endingOf({ id, isQueued }))
    const { text, values } = completeJobs('graphile_worker', isRecorded ? KEEPS_ALL : undefined, worker, endings)
    await sql.unsafe(text, [...values])
  }
}

async function add(queue: string | null): Promise<string> {
  const [row] = await sql<
    { id: string }[]
  >`select id from graphile_worker.add_job('Count', queue_name => ${queue}::text)`
  return row?.id ?? ''
}

async function lock(worker: string, ...ids: string[]): Promise<void> {
  await sql`update graphile_worker._private_jobs set locked_by = ${worker}, locked_at = now() where id in ${sql(ids)}`
  await sql`
    update graphile_worker._private_job_queues set locked_by = ${worker}, locked_at = now()
    where id in (select job_queue_id from graphile_worker._private_jobs where id in ${sql(ids)})`
}

async function rows(): Promise<{ id: string; by: string | null; queue: string | null }[]> {
  const found = await sql<{ id: string; by: string | null; queue: string | null }[]>`
    select jobs.id, jobs.locked_by as by, queues.locked_by as queue
    from graphile_worker._private_jobs jobs
    left join graphile_worker._private_job_queues queues on queues.id = job_queue_id
    order by jobs.id`
  return found.map(row => ({ ...row }))
}

async function recorded(): Promise<string[]> {
  return (await sql<{ id: string }[]>`select job_id as id from kretes.ledger`).map(({ id }) => id)
}

async function lockedQueues(): Promise<string[]> {
  const found = await sql<{ name: string }[]>`
    select queue_name as name from graphile_worker._private_job_queues where locked_by is not null`
  return found.map(({ name }) => name)
}
