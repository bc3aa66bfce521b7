import { inspect } from 'node:util'
import { Limit } from '../../../src/limit/limit.ts'
import { defineTask } from '../../../src/task.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { perKey } from '../limits/slots.ts'
import { POLL, type Prepared, prepare, registered, stopWorkers, work } from '../prepare.ts'

const test = suite('limits.set(), reset() and list() of rates')
test.after(stopWorkers)

const run = (): void => {}

/** A database on which a worker has registered tasks with limits of all kinds. */
async function prepareLimits(): Promise<Prepared> {
  const prepared = await prepare()
  const tasks = {
    Charge: defineTask({ name: 'Charge', limit: Limit.for('stripe', { concurrency: 20, rate: '90/s' }), run }),
    Sync: defineTask({ name: 'Sync', limit: [{ concurrency: 7 }, { rate: '100/90min', per: perKey }], run })
  }
  await work(prepared.database, { tasks, ...POLL })
  await registered(prepared.database)
  return prepared
}

const { database, background } = await prepareLimits()
const { limits } = background
const IDLE = { setAt: null, heldUntil: null, used: 0, keys: 0, waiting: 0, oldestMs: null }
const STRIPE = {
  ...IDLE,
  kind: 'shared',
  name: 'stripe',
  perKey: false,
  concurrency: 20,
  rate: '90/s',
  declaredConcurrency: 20,
  declaredRate: '90/s',
  begun: 0
}
const SYNC = {
  ...IDLE,
  kind: 'task',
  name: 'Sync',
  perKey: false,
  concurrency: 7,
  rate: null,
  declaredConcurrency: 7,
  declaredRate: null,
  begun: null
}
const KEYED = {
  ...SYNC,
  perKey: true,
  concurrency: null,
  rate: '100/90min',
  declaredConcurrency: null,
  declaredRate: '100/90min',
  begun: 0
}

test.before.each(
  () => database.sql`
    update kretes.declared_limits
    set set_concurrency = null, set_rate_count = null, set_rate_ms = null, set_at = null`
)

test('list limits with a rate, with a concurrency, and with both', async () => {
  assert.equal(await limits.list(), [STRIPE, SYNC, KEYED])
})

test('change the rate alone, the concurrency alone, or both, and take all back', async () => {
  const rate = await limits.set({ limit: 'stripe', rate: '20/s' })
  assert.equal({ ...rate, setAt: null }, { ...STRIPE, rate: '20/s' })
  assert.ok(rate.setAt)
  assert.equal((await limits.list())[0], rate)
  const both = await limits.set({ limit: 'stripe', concurrency: 5 })
  assert.equal([both.concurrency, both.rate], [5, '20/s'])
  const again = await limits.set({ limit: 'stripe', concurrency: 6, rate: '7/min' })
  assert.equal([again.concurrency, again.rate, again.declaredConcurrency, again.declaredRate], [6, '7/min', 20, '90/s'])
  assert.equal(await limits.reset({ limit: 'stripe' }), STRIPE)
})

test('give a limit a rate that the code does not declare, or a concurrency, and take that back', async () => {
  const rate = await limits.set({ task: 'Sync', perKey: false, rate: '5/day' })
  assert.equal({ ...rate, setAt: null }, { ...SYNC, rate: '5/d', begun: 0 })
  const concurrency = await limits.set({ task: 'Sync', perKey: true, concurrency: 3 })
  assert.equal({ ...concurrency, setAt: null }, { ...KEYED, concurrency: 3 })
  await limits.reset({ task: 'Sync', perKey: false })
  await limits.reset({ task: 'Sync', perKey: true })
  assert.equal(await limits.list(), [STRIPE, SYNC, KEYED])
})

for (const [given, shown] of [
  ['1/s', '1/s'],
  ['1000000/366d', '1000000/366d'],
  ['100/min', '100/min'],
  ['100/60s', '100/min'],
  ['100/m', '100/min'],
  ['10/1000ms', '10/s'],
  ['10/1500ms', '10/1500ms'],
  ['10/30s', '10/30s'],
  ['10/90s', '10/90s'],
  ['10/60 min', '10/h'],
  ['5/36h', '5/36h'],
  ['5/24h', '5/d'],
  ['5/week', '5/7d'],
  [' 5 / 2 days ', '5/2d'],
  ['007/1s', '7/s']
] as const) {
  test(`show ${JSON.stringify(given)} as ${shown}, and take that back as a rate`, async () => {
    assert.is((await limits.set({ limit: 'stripe', rate: given })).rate, shown)
    const [row] = await database.sql`select rate, declared_rate from kretes.limits where name = 'stripe'`
    assert.equal([row?.rate, row?.declared_rate], [shown, '90/s'])
    assert.is((await limits.set({ limit: 'stripe', rate: shown })).rate, shown)
  })
}

for (const [change, type, message] of [
  [{}, TypeError, 'give concurrency or rate, or both'],
  [{ concurrency: undefined }, TypeError, 'give concurrency or rate, or both'],
  [{ concurrency: undefined, rate: undefined }, TypeError, 'give concurrency or rate, or both'],
  [{ rate: null }, TypeError, "rate is null, not a rate such as '100/min' or '10/30s'"],
  [{ rate: 5 }, TypeError, "rate is 5, not a rate such as '100/min' or '10/30s'"],
  [{ rate: '' }, TypeError, `rate is "", not a rate such as '100/min' or '10/30s'`],
  [{ rate: '100' }, TypeError, `rate is "100", not a rate such as '100/min' or '10/30s'`],
  [{ rate: '0/s' }, RangeError, 'rate is for 0 jobs, not for 1 to 1,000,000'],
  [{ rate: '5/999ms' }, RangeError, 'the period of rate is 999ms, not 1 second to 366 days'],
  [{ rate: '5/s', concurrency: 0 }, RangeError, 'concurrency is 0, not a whole number from 1 to 1,000,000'],
  [{ rate: '0/s', concurrency: 5 }, RangeError, 'rate is for 0 jobs, not for 1 to 1,000,000'],
  [{ rates: '5/s' }, TypeError, 'there is no option rates. Did you mean rate?']
] as const) {
  test(`refuse ${inspect(change)} and change nothing`, async () => {
    const error = await limits.set({ limit: 'stripe', ...change } as never).catch(error => error)
    assert.instance(error, type, String(error))
    assert.is(error.message, `Cannot set the limit: ${message}`)
    assert.equal((await limits.list())[0], STRIPE)
  })
}

test('refuse a rate for reset()', async () => {
  const error = await limits.reset({ limit: 'stripe', rate: '5/s' } as never).catch(error => error)
  assert.instance(error, TypeError)
  assert.match(error.message, /^Cannot reset the limit: there is no option rate\b/)
})

test('say which of two limits is meant, and change none', async () => {
  const error = await limits.set({ task: 'Sync', rate: '5/s' }).catch(error => error)
  assert.is(error.code, 'NO_LIMIT')
  assert.match(error.message, /Say which one with perKey$/)
  assert.equal(await limits.list(), [STRIPE, SYNC, KEYED])
})

test('tell the workers of a new rate', async () => {
  const heard: string[] = []
  const listener = await database.sql.listen('jobs:insert', text => heard.push(text))
  await limits.set({ limit: 'stripe', rate: '5/s' })
  await until(() => heard.length === 1)
  await limits.reset({ limit: 'stripe' })
  await until(() => heard.length === 2)
  await listener.unlisten()
})

test('keep what was set over a deployment that declares another rate, or none', async () => {
  const { database, background } = await prepare()
  for (const [limit, declared, rate] of [
    [{ rate: '5/s' }, '5/s', '5/s'],
    [{ concurrency: 5, rate: '6/min' }, '6/min', '9/h'],
    [{ concurrency: 5 }, null, '9/h']
  ] as const) {
    const worker = await work(database, { tasks: { Sync: defineTask({ name: 'Sync', limit, run }) }, ...POLL })
    await registered(database)
    const [found] = await background.limits.list()
    assert.equal([found?.declaredRate, found?.rate], [declared, rate])
    await background.limits.set({ task: 'Sync', rate: '9/h' })
    await worker.stop()
  }
  const [reset] = [await background.limits.reset({ task: 'Sync' })]
  assert.equal([reset.rate, reset.begun], [null, null])
})
