import { Limit, type Limits } from '../../../src/limit/limit.ts'
import { RateLimited } from '../../../src/limit/rate-limited.ts'
import { defineTask } from '../../../src/task.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { createRecord, type Numbered, perKey } from '../limits/slots.ts'
import { countLocked, POLL, prepare, stopWorkers, work } from '../prepare.ts'
import { areHeld } from './holds.ts'

const test = suite('doctor() and rates')
test.after.each(stopWorkers)

const RAISE = 'Raise it, if its service can bear more: kretes background limits set'
const FOUND: readonly [what: string, limit: Limits<Numbered>, message: string, remedy: string][] = [
  ['a rate', { rate: '1/h' }, 'of Sync (1/h)', '--task Sync --rate <rate>'],
  ['a rate for each key', { rate: '1/90s', per: perKey }, 'of Sync (1/90s for each key)', '--task Sync --rate <rate>'],
  [
    'a shared limit with both',
    Limit.for('stripe', { concurrency: 3, rate: '1/366d' }),
    'stripe (3 at a time, 1/366d)',
    '--limit stripe --concurrency <number> --rate <rate>'
  ]
]

for (const [what, limit, label, remedy] of FOUND) {
  test(`finds jobs that have waited for ${what} for more than a day, and says how to raise it`, async () => {
    const { database, background } = await prepare()
    const { sql } = database
    const record = createRecord()
    const Sync = defineTask({ name: 'Sync', limit, run: record.pass('Sync') })
    await work(database, { tasks: { Sync }, ...POLL })
    await background.result(await background.schedule({ task: Sync, payload: { n: 1, key: 'a' } }))
    await background.schedule({ task: Sync, payload: { n: 2, key: 'a' } })
    await until(async () => (await background.limits.list())[0]?.begun === 1)
    await until(async () => (await countLocked(database)) === 0)
    assert.equal((await background.doctor()).findings, [])
    await sql`
      update graphile_worker._private_jobs
      set run_at = run_at - interval '25 hours', created_at = created_at - interval '2 days'`
    assert.equal(
      (await background.doctor()).findings.map(({ code, severity, message, remedy }) => [
        code,
        severity,
        message,
        remedy
      ]),
      [
        [
          'limit-starves',
          'warning',
          `The limit ${label} may be too low: 1 due job waits, the oldest for 1 day`,
          `${RAISE} ${remedy}`
        ]
      ]
    )
    assert.equal(record.begun, ['Sync a 1'])
  })
}

test('names what was set', async () => {
  const { database, background } = await prepare()
  const Sync = defineTask({
    name: 'Sync',
    limit: { concurrency: 5 },
    run: () => {
      throw new RateLimited('9 days')
    }
  })
  await work(database, { tasks: { Sync }, ...POLL })
  await background.schedule({ task: Sync, payload: {} })
  await areHeld(database)
  await until(async () => (await countLocked(database)) === 0)
  await background.limits.set({ task: Sync, rate: '10/30s' })
  await database.sql`
    update graphile_worker._private_jobs
    set run_at = run_at - interval '25 hours', created_at = created_at - interval '2 days'`
  const [finding] = (await background.doctor()).findings
  assert.match(String(finding?.message), /^The limit of Sync \(5 at a time, 10\/30s\) may be too low: /)
})

test('finds nothing wrong with the tables of rates', async () => {
  const { database, background } = await prepare()
  const Sync = defineTask({ name: 'Sync', limit: { rate: '100/s' }, run: () => {} })
  await work(database, { tasks: { Sync }, ...POLL })
  await background.result(await background.schedule({ task: Sync, payload: {} }))
  assert.equal((await background.doctor()).findings, [])
})
