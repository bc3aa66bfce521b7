import type { Choice, QueueChoice } from '../../src/sql/flow/choice.ts'
import type { Scan } from '../../src/sql/worker/claim/queues.ts'
import { choiceOf } from '../helpers/choice.ts'
import { assert, suite } from '../helpers/suite.ts'
import { type Added, createClaiming } from './claiming.ts'

const test = suite('claimJobs() of a worker that chooses, or while something is paused')

const { sql, add, claim, clear, look } = await createClaiming()
test.before.each(clear)

/** More jobs than a look at the first ones of all queues sees. */
const BACKLOG = 6_000

function taking(kind: QueueChoice['kind'], ...names: string[]): Choice {
  return { ...choiceOf('Known'), queues: { kind, names } }
}

const CHOICES: readonly [Choice, readonly (string | null)[]][] = [
  [taking('except'), [null, 'a', 'b', 'c']],
  [taking('except', 'a', 'none such'), [null, 'b', 'c']],
  [taking('only', 'c', 'a'), ['a', 'c']],
  [taking('only', 'none such'), []],
  [taking('none'), [null]]
]
for (const [choice, queues] of CHOICES) {
  test(`takes ${JSON.stringify(choice.queues)}, whatever waits in front, and locks no other job or queue`, async () => {
    for (const queue of ['a', null, 'b', 'c']) await add({ queue, task: 'Other', count: 30, minutes: 10 })
    for (const queue of [null, 'a', 'b', 'c']) await add({ queue })
    const claimed = await claim(10, undefined, { choice })
    assert.equal(
      claimed.map(({ queue }) => queue),
      queues
    )
    assert.equal(await claim(10, undefined, { choice }), [])
    const locked = await sql`select id::text from graphile_worker._private_jobs where locked_by is not null order by 1`
    assert.equal(
      locked.map(({ id }) => id),
      claimed.map(({ id }) => id).sort()
    )
    const held = await sql`
      select queue_name from graphile_worker._private_job_queues where locked_by is not null order by 1`
    assert.equal(
      held.map(row => row.queue_name),
      queues.filter(queue => queue !== null)
    )
  })
}

test('takes the most urgent of many listed queues first, whichever they are', async () => {
  const names = Array.from({ length: 40 }, (_, n) => `queue ${n}`)
  for (const queue of names) await add({ queue, count: 3 })
  const urgent = ['queue 3', 'queue 20', 'queue 39']
  for (const queue of urgent) await add({ queue, priority: -1 })
  for (const queue of ['queue 38', 'queue 5']) await add({ queue, minutes: 60 })
  const claimed = await claim(5, undefined, { choice: taking('only', ...names) })
  assert.equal(
    claimed.map(({ queue }) => queue),
    [...urgent, 'queue 38', 'queue 5']
  )
  const held = await sql`select from graphile_worker._private_job_queues where locked_by is not null`
  assert.is(held.length, 5)
})

test('takes no queue that it is given but does not choose', async () => {
  for (const queue of ['a', 'b']) await add({ queue })
  const ids = await sql<{ id: number }[]>`select id from graphile_worker._private_job_queues order by queue_name`
  const also = ids.map(({ id }) => id)
  for (const choice of [taking('none'), taking('except', 'a', 'b'), taking('only', 'c')])
    assert.equal(await claim(10, undefined, { scans: 'none', also, choice }), [])
  const choice = taking('only', 'b')
  assert.equal(
    (await claim(10, undefined, { scans: 'none', also, choice })).map(({ queue }) => queue),
    ['b']
  )
})

for (const scans of ['first', 'all', 'none'] satisfies Scan[]) {
  test(`leaves what is paused when it looks for queues in ${scans}`, async () => {
    for (const queue of ['a', null, 'b']) await add({ queue })
    await add({ queue: 'b', task: 'Other' })
    await add({ task: 'Other' })
    const queues = await sql<{ id: number }[]>`select id from graphile_worker._private_job_queues`
    const request = { scans, choice: choiceOf('Known', 'Other'), also: queues.map(({ id }) => id) }
    const taken = async (kind: string, name: string): Promise<unknown> => {
      await sql`delete from kretes.paused`
      await sql`insert into kretes.paused (kind, name, paused_by) values (${kind}, ${name}, 'me')`
      const jobs = await claim(10, undefined, request)
      await sql`update graphile_worker._private_jobs set locked_at = null, locked_by = null, attempts = 0`
      await sql`update graphile_worker._private_job_queues set locked_at = null, locked_by = null`
      return jobs.map(({ id }) => Number(id) - first)
    }
    const [row] = await sql<{ id: string }[]>`select min(id) as id from graphile_worker._private_jobs`
    const first = Number(row!.id)
    assert.equal(await taken('all', ''), [])
    assert.equal(await taken('task', 'Known'), [3, 4])
    assert.equal(await taken('task', 'Other'), [0, 1, 2])
    assert.equal(await taken('queue', 'b'), [0, 1, 4])
    assert.equal(await taken('queue', 'Known'), [0, 1, 2, 3, 4])
    assert.equal(await taken('task', 'b'), [0, 1, 2, 3, 4])
  })
}

const COVERS: readonly [what: string, task: string, cover: () => Promise<unknown>, choice: Choice][] = [
  [
    'a paused queue',
    'Known',
    () => sql`insert into kretes.paused values ('queue', 'long', now(), 'me')`,
    taking('except')
  ],
  [
    'a paused task',
    'Other',
    () => sql`insert into kretes.paused values ('task', 'Other', now(), 'me')`,
    choiceOf('Known', 'Other')
  ],
  ['a task that it does not know', 'Other', async () => {}, choiceOf('Known')],
  ['a queue that it does not take', 'Known', async () => {}, taking('except', 'long')],
  [
    'a queue that a worker holds',
    'Known',
    () => sql`
      with job as (
        update graphile_worker._private_jobs set locked_at = now(), locked_by = 'other'
        where id = (select min(id) from graphile_worker._private_jobs) returning job_queue_id
      )
      update graphile_worker._private_job_queues set locked_at = now(), locked_by = 'other'
      where id = (select job_queue_id from job)`,
    taking('except')
  ]
]
for (const [what, task, cover, choice] of COVERS) {
  test(`says that queues may be hidden behind the backlog of ${what}, and finds them when it looks at all`, async () => {
    await addBacklog(task)
    await cover()
    const [hidden] = await add({ queue: 'hidden' })
    assert.equal(await look({ choice }), { jobs: [], stuck: [], isCovered: true, leavesJobs: false })
    const { jobs, isCovered } = await look({ choice, scans: 'all' })
    assert.equal([jobs.map(({ id }) => id), isCovered], [[hidden], false])
  })
}

test('says no such thing while it finds queues, while few jobs wait, or while it does not look for queues', async () => {
  const choice = choiceOf('Known')
  await add({ queue: 'a', task: 'Other', count: 100, minutes: 10 })
  assert.is((await look({ choice })).isCovered, false)
  await addBacklog('Other')
  await add({ queue: 'b', minutes: 100 })
  const { jobs, isCovered } = await look({ choice })
  assert.equal([jobs.map(({ queue }) => queue), isCovered], [['b'], false])
  for (const scans of ['none', 'all'] satisfies Scan[]) assert.is((await look({ choice, scans })).isCovered, false)
  for (const kind of ['only', 'none'] as const)
    assert.is((await look({ choice: taking(kind, 'hidden') })).isCovered, false, kind)
  assert.is((await look({ choice })).isCovered, true)
})

test('finds each of many queues when it looks at all, from wherever it begins', async () => {
  for (let n = 0; n < 30; n++) await add({ queue: `queue ${n}` })
  const found = new Set<string | null>()
  for (let claims = 0; claims < 10 && found.size < 30; claims++) {
    const { jobs } = await look({ scans: 'all', size: 10 })
    assert.ok(jobs.length > 0, 'a claim found none')
    for (const { queue } of jobs) found.add(queue)
  }
  assert.is(found.size, 30)
})

/** Adds so many jobs of the queue `long` that they cover all later ones of queues. */
async function addBacklog(task: string): Promise<void> {
  await add({ queue: 'long', task, minutes: 60 })
  await sql`
    insert into graphile_worker._private_jobs (job_queue_id, task_id, payload, run_at)
    select job_queue_id, task_id, payload, run_at
    from (select * from graphile_worker._private_jobs order by run_at limit 1) job, generate_series(1, ${BACKLOG}::int)`
}

const LEFT: readonly [what: string, job: Added, leaves: boolean][] = [
  ['another task', { task: 'Other' }, true],
  ['a newer version', { version: 2 }, true],
  ['its own task, which it takes', {}, false],
  ['another task that is not due', { task: 'Other', minutes: -10 }, false]
]
for (const [what, job, leaves] of LEFT) {
  test(`says of a released queue whether it leaves jobs there for other workers: of ${what}`, async () => {
    await add({ queue: 'released', ...job })
    const [queue] = await sql<{ id: number }[]>`select id from graphile_worker._private_job_queues`
    const also = [queue!.id]
    for (const scans of ['none', 'first', 'all'] satisfies Scan[]) {
      assert.is((await look({ also, scans })).leavesJobs, leaves, scans)
      await sql`update graphile_worker._private_jobs set locked_at = null, locked_by = null`
      await sql`update graphile_worker._private_job_queues set locked_at = null, locked_by = null`
    }
    assert.is((await look({ scans: 'none' })).leavesJobs, false, 'it has not released the queue')
  })
}

test('leaves no jobs for other workers that are paused, or on a queue that one of them holds already', async () => {
  await add({ queue: 'released', task: 'Other', count: 2 })
  const [queue] = await sql<{ id: number }[]>`select id from graphile_worker._private_job_queues`
  const also = [queue!.id]
  assert.is((await look({ also })).leavesJobs, true)
  await sql`insert into kretes.paused (kind, name, paused_by) values ('task', 'Other', 'me')`
  assert.is((await look({ also })).leavesJobs, false)
  await add({ queue: 'released', task: 'Unknown' })
  assert.is((await look({ also })).leavesJobs, true, 'one behind the paused ones')
  await sql`delete from kretes.paused`
  assert.is((await claim(1, undefined, { choice: choiceOf('Other') })).length, 1)
  assert.is((await look({ also })).leavesJobs, false)
})
