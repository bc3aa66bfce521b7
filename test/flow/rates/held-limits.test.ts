import { Limit, type Limits } from '../../../src/limit/limit.ts'
import { RateLimited, type RateLimitedOptions } from '../../../src/limit/rate-limited.ts'
import { defineTask } from '../../../src/task.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { createRecord, type Numbered, perKey } from '../limits/slots.ts'
import { POLL, prepare, stopWorkers, work } from '../prepare.ts'
import { areHeld, holdsOf, runFree } from './holds.ts'

const test = suite('RateLimited')
test.after.each(stopWorkers)

const stripe = Limit.for('stripe', { rate: '1000/min' })
const smtp = Limit.for('smtp', { concurrency: 50, rate: '1000/min' })
const shop = Limit.for('shop', { rate: '1000/min', per: perKey })
const own = { rate: '1000/min' } as const
const keyed = { rate: '1000/min', per: perKey } as const

const HELD: readonly [
  what: string,
  limit: Limits<Numbered>,
  options: RateLimitedOptions | undefined,
  held: readonly [limit: string, key: string]
][] = [
  ['the own limit of its task', own, undefined, ['task Sync', '']],
  ['a limit without a rate', { concurrency: 50 }, undefined, ['task Sync', '']],
  ['the key of the own limit of its task', keyed, undefined, ['key Sync', 'a']],
  ['a shared limit', stripe, undefined, ['limit stripe', '']],
  ['the key of a shared limit', shop, undefined, ['limit shop', 'a']],
  ['a shared limit rather than the own one', [own, stripe], undefined, ['limit stripe', '']],
  ['the first of several shared limits', [own, smtp, stripe], undefined, ['limit smtp', '']],
  ['the limit with keys rather than all others', [own, stripe, keyed], undefined, ['key Sync', 'a']],
  ['the shared limit with keys rather than all others', [stripe, own, shop], undefined, ['limit shop', 'a']],
  ['a shared limit by its name', [keyed, stripe, smtp], { limit: 'smtp' }, ['limit smtp', '']],
  ['a shared limit that is given', [keyed, stripe, smtp], { limit: smtp }, ['limit smtp', '']],
  ['the key of a shared limit that is given', [own, stripe, shop], { limit: shop }, ['limit shop', 'a']],
  ['the default if the limit is undefined', [own, stripe], { limit: undefined } as never, ['limit stripe', '']]
]

for (const [what, limit, options, held] of HELD) {
  test(`holds ${what}`, async () => {
    const { database, background } = await prepare()
    const record = createRecord()
    let isFirst = true
    const Sync = defineTask({
      name: 'Sync',
      limit,
      run: record.pass('Sync', () => {
        if (!isFirst) return
        isFirst = false
        throw new RateLimited('1h', options)
      })
    })
    await work(database, { tasks: { Sync, Free: () => {} }, ...POLL })
    const first = await background.schedule({ task: Sync, payload: { n: 1, key: 'a' } })
    await areHeld(database)
    assert.equal(await holdsOf(database), [held])
    const second = await background.schedule({ task: Sync, payload: { n: 2, key: 'a' } })
    const other = await background.schedule({ task: Sync, payload: { n: 3, key: 'b' } })
    await runFree(background)
    if (held[1] === '') assert.equal(record.begun, ['Sync a 1'])
    else await background.result(other)
    await runFree(background)
    assert.equal(record.begun, held[1] === '' ? ['Sync a 1'] : ['Sync a 1', 'Sync b 3'])
    const rows = await database.sql`select id::text, state, attempts from kretes.jobs order by id`
    const waiting = held[1] === '' ? [first, second, other] : [first, second]
    assert.equal(
      rows.map(({ id, state, attempts }) => [id, state, attempts]),
      waiting.map(({ id }) => [id, 'waiting', 0])
    )
  })
}

test('holds a shared limit for all its tasks, and no other limit of them', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const taskOf = (name: string, limit: Limits<Numbered>, work?: () => void) =>
    defineTask({ name, limit, run: record.pass(name, work) })
  const tasks = {
    Charge: taskOf('Charge', [stripe, keyed], () => {
      throw new RateLimited('1h', { limit: stripe })
    }),
    Refund: taskOf('Refund', [own, stripe]),
    Mail: taskOf('Mail', smtp),
    Own: taskOf('Own', own)
  }
  for (let n = 0; n < 2; n++) await work(database, { tasks: { ...tasks, Free: () => {} }, ...POLL })
  await background.schedule({ task: tasks.Charge, payload: { n: 1, key: 'a' } })
  await areHeld(database)
  await background.schedule({ task: tasks.Charge, payload: { n: 2, key: 'b' } })
  await background.schedule({ task: tasks.Refund, payload: { n: 1, key: 'a' } })
  const others = [
    await background.schedule({ task: tasks.Mail, payload: { n: 1, key: 'a' } }),
    await background.schedule({ task: tasks.Own, payload: { n: 1, key: 'a' } })
  ]
  for (const job of others) await background.result(job)
  await runFree(background)
  assert.equal(record.begun.toSorted(), ['Charge a 1', 'Mail a 1', 'Own a 1'])
})

test('holds a key of a shared limit for all its tasks, and not its other keys', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const SyncStock = defineTask({
    name: 'SyncStock',
    limit: shop,
    run: record.pass('SyncStock', () => {
      throw new RateLimited('1h')
    })
  })
  const SyncPrices = defineTask({
    name: 'SyncPrices',
    limit: { ...shop, per: ({ shop }: { shop: string }) => shop },
    run: ({ shop }) => record.pass('SyncPrices')({ key: shop }, {} as never)
  })
  await work(database, { tasks: { SyncStock, SyncPrices, Free: () => {} }, ...POLL })
  await background.schedule({ task: SyncStock, payload: { n: 1, key: 'it\'s "a" 😀' } })
  await areHeld(database)
  assert.equal(await holdsOf(database), [['limit shop', 'it\'s "a" 😀']])
  await background.schedule({ task: SyncPrices, payload: { shop: 'it\'s "a" 😀' } })
  const other = await background.schedule({ task: SyncPrices, payload: { shop: 'b' } })
  await background.result(other)
  await runFree(background)
  assert.equal(record.begun, ['SyncStock it\'s "a" 😀 1', 'SyncPrices b'])
})

const WRONG: readonly [what: string, limit: Limits<Numbered> | undefined, named: string, message: string][] = [
  ['that the task does not have', [stripe, smtp, keyed], 'strip', '"strip": Sync has no such limit, only stripe, smtp'],
  ['of a task without shared ones', [own, keyed], 'Sync', '"Sync": Sync has no such limit, none that tasks share'],
  ['by the name that the database has', own, 'task Sync', '"task Sync": Sync has no such limit, none that tasks share'],
  ['without a name', stripe, '', '"": Sync has no such limit, only stripe'],
  ['of a task without limits', undefined, 'smtp', '"smtp": Sync has no such limit, none that tasks share']
]

for (const [what, limit, named, message] of WRONG) {
  test(`fails the run if it names a limit ${what}`, async () => {
    const { database, background } = await prepare()
    const seen: number[] = []
    const Sync = defineTask({
      name: 'Sync',
      ...(limit && { limit }),
      backoff: [1],
      run: (_: Numbered, { attempt }) => {
        seen.push(attempt)
        throw new RateLimited('1h', { limit: named })
      }
    })
    await work(database, { tasks: { Sync }, ...POLL })
    const job = await background.schedule({ task: Sync, payload: { n: 1, key: 'a' }, maxAttempts: 2 })
    await until(async () => (await background.job(job))?.state === 'failed')
    assert.equal(seen, [1, 2])
    assert.equal(await holdsOf(database), [])
    const runs =
      await database.sql`select state, error ->> 'name' as name, error ->> 'message' as message from kretes.runs`
    assert.equal(
      runs.map(({ state, name, message }) => [state, name, message]),
      Array(2).fill(['failed', 'RangeError', `Cannot hold the limit ${message}`])
    )
  })
}
