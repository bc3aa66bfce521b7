import { createBackground } from '../../src/background.ts'
import type { Choice } from '../../src/sql/flow/choice.ts'
import { claimLanes, findLanes } from '../../src/sql/flow/lanes.ts'
import { claimJobs } from '../../src/sql/worker/claim.ts'
import { defineTask } from '../../src/task.ts'
import { perKey } from '../flow/limits/slots.ts'
import { POLL, registered, work } from '../flow/prepare.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createClaiming } from './claiming.ts'

const test = suite('what a claim beside jobs with limits reads')

const { sql, database, add, clear, pagesOf } = await createClaiming()
const background = createBackground({ connection: database.url })
onceDone(() => background.close())
const Limited = defineTask({ name: 'Limited', limit: { concurrency: 2, per: perKey }, run: () => {} })
// It registers the limit.
const worker = await work(database, { tasks: { Limited }, ...POLL })
await registered(database)
await worker.stop()

const CHOICE: Choice = {
  tasks: ['Known', 'Limited'],
  versions: {},
  queues: { kind: 'except', names: [] },
  limited: ['Limited']
}
/** The first call in a session reads about a thousand pages to plan the statements of the function. */
const TO_PLAN = 2_000

const MANY = 20_000

test.before.each(async () => {
  await clear()
  await sql`delete from kretes.leases`
})

/** Adds jobs of a key that come before all others. Returns the id of their lane. */
async function addLimited(key: string | number, count: number): Promise<number> {
  const { id } = await background.schedule({ task: Limited, payload: { key } })
  const [row] = await sql<{ lane: number }[]>`
    update graphile_worker._private_jobs set run_at = now() - interval '1 hour' where id = ${id} returning job_queue_id as lane`
  await sql`
    insert into graphile_worker._private_jobs (job_queue_id, task_id, payload, flags, run_at)
    select job_queue_id, task_id, payload, flags, run_at from graphile_worker._private_jobs, generate_series(2, ${count}::int)
    where id = ${id}`
  return row!.lane
}

/** Lets another worker use all slots of a key. */
async function useUp(key: string | number, lane: number): Promise<void> {
  await sql`insert into kretes.leases (limit_name, part, worker, lane, slots) values ('key Limited', ${String(key)}, 'another', ${lane}, 2)`
}

async function pagesOfFree(): Promise<number> {
  await add({ count: 20 })
  await sql`vacuum analyze graphile_worker._private_jobs`
  const pages = await pagesOf(claimJobs('graphile_worker', { worker: 'me', choice: CHOICE, size: 10 }))
  const locked = await sql`select task_identifier as task from graphile_worker.jobs where locked_by = 'me'`
  assert.equal(
    locked.map(({ task }) => task),
    Array(10).fill('Known')
  )
  return pages
}

async function pagesOfLanes(lanes: readonly number[]): Promise<number> {
  await sql`vacuum analyze graphile_worker._private_jobs`
  const request = {
    worker: 'me',
    lanes,
    choice: CHOICE,
    slots: 10,
    jobs: 500,
    run: 1,
    most: new Map(),
    number: 0,
    beginWithinMs: 500
  }
  return await pagesOf(claimLanes('graphile_worker', request))
}

test('is no more for jobs without limits, behind many jobs of a key whose slots are in use or free', async () => {
  const alone = await pagesOfFree()
  for (const isUsed of [true, false]) {
    await clear()
    const lane = await addLimited('a', MANY)
    if (isUsed) await useUp('a', lane)
    const pages = await pagesOfFree()
    assert.ok(pages < alone * 2.5, `${pages} pages were read instead of ${alone}`)
  }
})

test('is no more for the key of a few jobs, behind many jobs of a key whose slots are in use', async () => {
  const few = await addLimited('few', 20)
  const alone = await pagesOfLanes([few])
  await clear()
  await sql`delete from kretes.leases`
  const many = await addLimited('many', MANY)
  await useUp('many', many)
  const others = await addLimited('few', 20)
  const pages = await pagesOfLanes([many, others])
  const locked =
    await sql`select from graphile_worker._private_jobs where locked_by = 'me' and job_queue_id = ${others}`
  assert.is(locked.length, 2)
  assert.ok(pages < alone + TO_PLAN, `${pages} pages were read instead of ${alone}`)
})

test('is only the first jobs of a long backlog with free slots', async () => {
  const lane = await addLimited('a', MANY)
  const pages = await pagesOfLanes([lane])
  assert.is((await sql`select from graphile_worker._private_jobs where locked_by = 'me'`).length, 2)
  assert.ok(pages < TO_PLAN, `${pages} pages were read`)
})

test('is a few pages for each key, however long its backlog, to find the keys with due jobs', async () => {
  const lanes: number[] = []
  for (let key = 0; key < 40; key++) lanes.push(await addLimited(key, key < 3 ? MANY : 3))
  await sql`vacuum analyze graphile_worker._private_jobs`
  const look = findLanes('graphile_worker', CHOICE, { after: 0, most: 1_000 })
  const found = await sql.unsafe(look.text, look.values as never[])
  assert.equal(
    found.map(({ id }) => id),
    lanes
  )
  const pages = await pagesOf(look)
  assert.ok(pages < 40 * 12, `${pages} pages were read`)
})
