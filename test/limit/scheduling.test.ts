import { defineTask } from '../../src/task.ts'
import { areRunning, createRecord, isAllDone, type Numbered } from '../flow/limits/slots.ts'
import { POLL, type Prepared, prepare, stopWorkers, work } from '../flow/prepare.ts'
import { assert, suite } from '../helpers/suite.ts'
import { waitingJobs } from './lanes.ts'

const test = suite('scheduling a task with limits')
test.after.each(stopWorkers)

const keyed = (run: (payload: Numbered) => unknown = () => {}) =>
  defineTask({ name: 'Charge', limit: { concurrency: 1, per: ({ key }: Numbered) => key ?? null }, run })
const Charge = keyed()

/** Six jobs: three for each of two keys. */
const SIX: readonly Numbered[] = [1, 2, 3].flatMap(n => [
  { n, key: 'a' },
  { n, key: 'b' }
])
const inTurn = async (schedule: (payload: Numbered) => Promise<unknown>): Promise<void> => {
  for (const payload of SIX) await schedule(payload)
}

/** Ways to schedule the six jobs, and whether the calls themselves put them where the limits hold. */
const WAYS: readonly [what: string, isAtOnce: boolean, schedule: (prepared: Prepared) => Promise<unknown>][] = [
  ['one by one', true, ({ background }) => inTurn(payload => background.schedule({ task: Charge, payload }))],
  [
    'by calls at the same time',
    true,
    ({ background }) => Promise.all(SIX.map(payload => background.schedule({ task: Charge, payload })))
  ],
  [
    'in a transaction',
    true,
    ({ background, database }) =>
      database.sql.begin(transaction =>
        inTurn(payload => background.with(transaction).schedule({ task: Charge, payload }))
      )
  ],
  ['as payloads', true, ({ background }) => background.scheduleMany({ task: Charge, payloads: SIX })],
  [
    'as payloads whose jobs are not returned',
    true,
    ({ background }) => background.scheduleMany({ task: Charge, payloads: SIX }, { returning: false, atomic: false })
  ],
  [
    'as payloads with a time',
    true,
    ({ background }) => background.scheduleMany({ task: Charge, payloads: SIX, runAt: new Date() })
  ],
  [
    'as payloads with a delay, in a transaction',
    true,
    ({ background, database }) =>
      database.sql.begin(transaction =>
        background.with(transaction).scheduleMany({ task: Charge, payloads: SIX, delay: 1 })
      )
  ],
  ['as a list', true, ({ background }) => background.scheduleMany(SIX.map(payload => ({ task: Charge, payload })))],
  [
    'as a list of jobs with job keys and times that are not returned',
    true,
    ({ background }) =>
      background.scheduleMany(
        SIX.map((payload, index) => ({ task: Charge, payload, key: `job ${index}`, ...(index % 2 && { delay: 1 }) })),
        { returning: false }
      )
  ],
  [
    'as a list that waits for the schema of a payload',
    true,
    ({ background }) =>
      background.scheduleMany(
        (async function* () {
          for (const payload of SIX) yield { task: Charge, payload }
        })()
      )
  ],
  ['by name', false, ({ background }) => inTurn(payload => background.schedule({ task: 'Charge', payload }))],
  [
    'as payloads by name',
    false,
    ({ background }) => background.scheduleMany({ task: 'Charge', payloads: SIX, priority: 1 })
  ],
  [
    'by the task without its limits',
    false,
    ({ background }) =>
      inTurn(payload => background.schedule({ task: defineTask({ name: 'Charge', run() {} }), payload }))
  ],
  [
    'by SQL',
    false,
    ({ database: { sql } }) => sql`
      select graphile_worker.add_job('Charge', json_build_object('n', n, 'key', key))
      from generate_series(1, 3) n, unnest('{a,b}'::text[]) key`
  ],
  [
    'by recurring jobs',
    false,
    ({ background }) =>
      inTurn(async payload => {
        const name = `${payload.key} ${payload.n}`
        await background.recurring.set(name, { task: Charge, payload, every: '1h', overlap: 'allow' })
        await background.recurring.runNow(name)
      })
  ]
]

for (const [what, isAtOnce, schedule] of WAYS) {
  const isInOrder = what !== 'by calls at the same time'
  test(`${what}: the limit of each key holds, and a job has its key and no queue`, async () => {
    const prepared = await prepare()
    const { database, background } = prepared
    const record = createRecord()
    const tasks = { Charge: keyed(record.hold('Charge') as never), Marker: record.pass('Marker') }
    await background.pause({ task: 'Charge' })
    const worker = await work(database, { tasks, ...POLL })
    await worker.ready
    await schedule(prepared)
    const waiting = await waitingJobs(database)
    assert.equal(
      waiting
        .map(({ queue, isLimited, key }) => ({ queue, isLimited, key }))
        .sort((left, right) => String(left.key).localeCompare(String(right.key))),
      [...'aaabbb'].map(key => ({ queue: null, isLimited: isAtOnce, key: isAtOnce ? key : null }))
    )
    await background.resume({ task: 'Charge' })
    await areRunning(record, 2)
    await background.schedule({ task: 'Marker' }).then(job => job.result())
    assert.equal(record.running.map(job => job.slice(0, 8)).sort(), ['Charge a', 'Charge b'])
    assert.equal(
      (await waitingJobs(database)).map(({ isLimited }) => isLimited),
      Array(6).fill(true)
    )
    record.open()
    await isAllDone(database)
    assert.is(record.mostOfKey, 1)
    const jobs = record.begun.filter(job => job !== 'Marker')
    const expected = SIX.map(({ key, n }) => `Charge ${key} ${n}`)
    assert.equal([...jobs].sort(), [...expected].sort())
    if (!isInOrder) return
    for (const key of ['a', 'b']) {
      const isOfKey = (job: string): boolean => job.startsWith(`Charge ${key}`)
      assert.equal(jobs.filter(isOfKey), expected.filter(isOfKey))
    }
  })
}
