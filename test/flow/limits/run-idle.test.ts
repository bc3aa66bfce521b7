import { Limit } from '../../../src/limit/limit.ts'
import { peerTimings, upkeepTimings } from '../../../src/rules/timings.ts'
import { defineTask } from '../../../src/task.ts'
import type { WorkerOptions } from '../../../src/worker/options.ts'
import { createCounter } from '../../helpers/counter.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { beats, work as startWorker } from '../../worker/work.ts'
import { countLocked, POLL, type Prepared, prepare, registered, stopWorkers, work } from '../prepare.ts'
import { areRunning, createRecord, isAllDone, payloads, perKey, workAtRest } from './slots.ts'

const test = suite('a worker of tasks with limits that has nothing to do')
test.after.each(stopWorkers)

Object.assign(peerTimings, { beatEveryMs: 400 })
// Its statements have nothing to do with jobs.
Object.assign(upkeepTimings, { firstAfterMs: 600_000 })

const run = (): void => {}
const limit = { concurrency: 1, per: perKey }
const Count = defineTask({ name: 'Count', limit, run })
const Other = defineTask({ name: 'Other', limit: Limit.for('shared', { concurrency: 3 }), run })

// A worker without limits on an empty database, to compare with.
const empty = await prepare()
const idle = await createCounter(empty.database.url)
await startWorker({ ...empty.database, url: idle.url }, { tasks: { Count: run, Other: run }, ...POLL })
await registered(empty.database)

/** Jobs of one key, due and due soon, whose slot is in use. */
async function block({ database: { sql }, background }: Prepared, key: string | number, count: number): Promise<void> {
  const { id } = await background.schedule({ task: Count, payload: { key } })
  await sql`
    insert into graphile_worker._private_jobs (job_queue_id, task_id, payload, flags, run_at)
    select job_queue_id, task_id, payload, flags, run_at from graphile_worker._private_jobs, generate_series(2, ${count}::int)
    where id = ${id}`
  await background.scheduleMany({ task: Count, payloads: payloads(5, key), delay: 1_500 })
  await sql`
    insert into kretes.leases (limit_name, part, worker, lane, slots)
    select 'key Count', ${String(key)}, 'another', job_queue_id, 1 from graphile_worker._private_jobs where id = ${id}`
}

const SCENES: readonly [what: string, options: WorkerOptions, arrange: (prepared: Prepared) => Promise<unknown>][] = [
  ['without jobs', {}, async () => {}],
  ['beside a long backlog of a key whose slot is in use', {}, prepared => block(prepared, 'a', 6_000)],
  [
    'beside short backlogs of many such keys',
    {},
    async prepared => {
      for (let key = 0; key < 120; key++) await block(prepared, key, 2)
    }
  ],
  [
    'beside jobs of a limited task that is paused',
    {},
    async ({ background }) => {
      await background.pause({ task: Other })
      await background.scheduleMany({ task: Other, payloads: payloads(500) })
      await background.scheduleMany({ task: Other, payloads: payloads(5), delay: 1_500 })
    }
  ],
  [
    'beside jobs of a limited task that it does not run',
    { except: ['Other'] },
    async ({ background }) => {
      await background.scheduleMany({ task: Other, payloads: payloads(500) })
      await background.scheduleMany({ task: Other, payloads: payloads(5), delay: 1_500 })
    }
  ],
  [
    'beside jobs with limits, if it takes only jobs of queues',
    { queues: ['one'] },
    ({ background }) => background.scheduleMany({ task: Other, payloads: payloads(500) })
  ],
  [
    'beside jobs with limits of a newer version',
    {},
    ({ background }) =>
      background.scheduleMany({
        task: defineTask({ name: 'Other', version: 2, limit: Limit.for('shared', { concurrency: 3 }), run }),
        payloads: payloads(500)
      })
  ]
]

for (const [what, options, arrange] of SCENES) {
  test(`sends no more statements than one without limits: ${what}`, async () => {
    const prepared = await prepare()
    const { database } = prepared
    await work(database, { tasks: { Count, Other }, ...POLL })
    await registered(database)
    await stopWorkers()
    await arrange(prepared)
    const fetches = await createCounter(database.url, 'kretes_')
    const all = await createCounter(fetches.url)
    await work({ ...database, url: all.url }, { tasks: { Count, Other }, ...POLL, ...options })
    await registered(database)
    let [fetched, sent, usual] = [0, 0, 0]
    // It tries what is blocked again less and less often.
    for (let round = 0; round < 12; round++) {
      const before = [fetches.packets, all.packets, idle.packets] as const
      await beats(database, 5)
      fetched = fetches.packets - before[0]
      sent = all.packets - before[1]
      usual = idle.packets - before[2]
      if (fetched <= 3 && sent <= usual + 12) break
    }
    assert.ok(usual > 0, 'the other one is not there')
    assert.ok(fetches.packets > 0, 'it has not fetched')
    assert.ok(fetched <= 3, `${fetched} fetches in five beats`)
    assert.ok(sent <= usual + 12, `${sent} packets in five beats instead of ${usual}`)
    assert.is(await countLocked(database), 0)
  })
}

test('stays at rest while it holds all slots, also after news', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Held = defineTask({ name: 'Held', limit: { concurrency: 2 }, run: record.hold('Held') })
  const rest = await workAtRest(database, { tasks: { Held, Free: () => {} }, ...POLL })
  await background.scheduleMany({ task: Held, payloads: payloads(20) })
  await areRunning(record, 2)
  await rest()
  await background.schedule({ task: Held })
  await background.result(await background.schedule({ task: 'Free' }))
  await rest()
  assert.is(record.running.length, 2)
  record.open()
  await isAllDone(database)
})
