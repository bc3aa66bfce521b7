import { peerTimings, upkeepTimings } from '../../src/rules/timings.ts'
import { versionFlags } from '../../src/sql/flow/versions.ts'
import { defineTask } from '../../src/task.ts'
import type { WorkerOptions } from '../../src/worker/options.ts'
import { createCounter } from '../helpers/counter.ts'
import { assert, suite } from '../helpers/suite.ts'
import { beats, fill } from '../worker/work.ts'
import { countLocked, type Prepared, prepare, registered, stopWorkers, work } from './prepare.ts'

const test = suite('a worker beside jobs that it may not run')
test.after.each(stopWorkers)

Object.assign(peerTimings, { beatEveryMs: 400 })
// Its statements have nothing to do with jobs.
Object.assign(upkeepTimings, { firstAfterMs: 600_000 })

const Count = (): void => {}

// A worker on an empty database, to compare with.
const empty = await prepare()
const idle = await createCounter(empty.database.url)
await work({ ...empty.database, url: idle.url }, { tasks: { Count }, pollInterval: 600_000 })
await registered(empty.database)

const SCENES: readonly [what: string, options: WorkerOptions, arrange: (prepared: Prepared) => Promise<unknown>][] = [
  ['of a paused task', {}, ({ background }) => background.pause({ task: 'Count' })],
  ['of a paused queue', {}, ({ background }) => background.pause({ queue: 'one' })],
  ['while everything is paused', {}, ({ background }) => background.pause({ all: true })],
  ['of queues that it does not take', { queues: { except: ['one'] } }, async () => {}],
  ['of no queue of its list', { queues: ['two'] }, async () => {}],
  ['of any queue', { queues: false }, async () => {}],
  ['of a task that it does not run', { except: ['Count'] }, async () => {}],
  [
    'that a newer version has scheduled',
    { tasks: { Count: defineTask({ name: 'Count', version: 1, run: Count }), Other: Count } },
    ({ database: { sql } }) => sql`
      update graphile_worker._private_jobs
      set flags = (select jsonb_object_agg(flag, true) from unnest(${versionFlags(2)}::text[]) flag)`
  ]
]

for (const [what, options, arrange] of SCENES) {
  test(`fetches no more than without them: ${what}, due or soon due, many or few`, async () => {
    const prepared = await prepare()
    const { database } = prepared
    const { sql } = database
    // More than a look at the first jobs of all queues sees.
    await fill(database, 'Count', 1, { queue: 'one' })
    await sql`
      insert into graphile_worker._private_jobs (job_queue_id, task_id, payload, run_at)
      select job_queue_id, task_id, payload, run_at from graphile_worker._private_jobs, generate_series(1, 6000)`
    await sql`
      select graphile_worker.add_job('Count', queue_name => 'one', run_at => now() + n * interval '300 ms')
      from generate_series(1, 40) n`
    await arrange(prepared)
    const fetches = await createCounter(database.url, 'kretes_claim')
    const all = await createCounter(fetches.url)
    await work({ ...database, url: all.url }, { tasks: { Count, Other: Count }, pollInterval: 600_000, ...options })
    await registered(database)
    await beats(database, 3)
    const before = [fetches.packets, all.packets, idle.packets] as const
    await beats(database, 5)
    const [fetched, sent] = [fetches.packets - before[0], all.packets - before[1]]
    const usual = idle.packets - before[2]
    assert.ok(fetches.packets > 0, 'it has not fetched')
    assert.ok(fetched <= 3, `${fetched} fetches in five beats`)
    assert.ok(sent <= usual + 12, `${sent} packets in five beats instead of ${usual}`)
    assert.is(await countLocked(database), 0)
  })
}
