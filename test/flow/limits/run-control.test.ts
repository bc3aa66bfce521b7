import { inspect } from 'node:util'
import { BackgroundError } from '../../../src/errors.ts'
import { Limit } from '../../../src/limit/limit.ts'
import { peerTimings } from '../../../src/rules/timings.ts'
import { defineTask } from '../../../src/task.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { countLocked, POLL, type Prepared, prepare, registered, stopWorkers, work } from '../prepare.ts'
import {
  areRunning,
  createRecord,
  haveEnded,
  isAllDone,
  type Numbered,
  payloads,
  perKey,
  slotsOf,
  workAtRest
} from './slots.ts'

const test = suite('limits.set(), reset() and list()')
test.after.each(stopWorkers)
Object.assign(peerTimings, { beatEveryMs: 200 })

const run = (): void => {}

/** A database on which a worker has registered tasks with limits of all kinds. */
async function prepareLimits(): Promise<Prepared> {
  const prepared = await prepare()
  const stripe = Limit.for('stripe', { concurrency: 20 })
  const tasks = {
    Charge: defineTask({ name: 'Charge', limit: [stripe, { concurrency: 2, per: perKey }], run }),
    Refund: defineTask({ name: 'Refund', limit: stripe, run }),
    Both: defineTask({ name: 'Both', limit: [{ concurrency: 7 }, { concurrency: 3, per: perKey }], run }),
    Plain: run
  }
  await work(prepared.database, { tasks, ...POLL })
  await registered(prepared.database)
  return prepared
}

const { database, background } = await prepareLimits()
const { limits } = background
const STRIPE = {
  kind: 'shared',
  name: 'stripe',
  perKey: false,
  concurrency: 20,
  rate: null,
  declaredConcurrency: 20,
  declaredRate: null,
  setAt: null,
  heldUntil: null
}
const IDLE = { begun: null, used: 0, keys: 0, waiting: 0, oldestMs: null }

test.before.each(() => database.sql`update kretes.declared_limits set set_concurrency = null, set_at = null`)

test('list what the workers have registered, shared limits first', async () => {
  assert.equal(await limits.list(), [
    { ...STRIPE, ...IDLE },
    { ...STRIPE, ...IDLE, kind: 'task', name: 'Both', concurrency: 7, declaredConcurrency: 7 },
    { ...STRIPE, ...IDLE, kind: 'task', name: 'Both', perKey: true, concurrency: 3, declaredConcurrency: 3 },
    { ...STRIPE, ...IDLE, kind: 'task', name: 'Charge', perKey: true, concurrency: 2, declaredConcurrency: 2 }
  ])
})

test('change a limit by its name or by itself, and take that back', async () => {
  const [{ now } = {}] = await database.sql`select clock_timestamp() as now`
  const set = await limits.set({ limit: 'stripe', concurrency: 5 })
  assert.equal({ ...set, setAt: null }, { ...STRIPE, ...IDLE, concurrency: 5 })
  assert.ok(set.setAt! >= now && set.setAt! <= new Date(Date.now() + 60_000))
  assert.equal((await limits.list())[0], set)
  const again = await limits.set({ limit: Limit.for('stripe', { concurrency: 1 }), concurrency: 1_000_000 })
  assert.equal([again.concurrency, again.declaredConcurrency], [1_000_000, 20])
  assert.equal(await limits.reset({ limit: 'stripe' }), { ...STRIPE, ...IDLE })
  assert.equal(await limits.reset({ limit: 'stripe' }), { ...STRIPE, ...IDLE })
  const Charge = defineTask({ name: 'Charge', run })
  assert.equal((await limits.set({ task: Charge, concurrency: 4 })).perKey, true)
  assert.equal((await limits.reset({ task: 'Charge' })).concurrency, 2)
})

test('tell the workers of each change', async () => {
  const heard: string[] = []
  const listener = await database.sql.listen('jobs:insert', text => heard.push(text))
  await limits.set({ limit: 'stripe', concurrency: 5 })
  await until(() => heard.length === 1)
  await limits.reset({ limit: 'stripe' })
  await until(() => heard.length === 2)
  await listener.unlisten()
})

test('change one of two limits of a task if perKey says which', async () => {
  for (const isKeyed of [true, false]) {
    const set = await limits.set({ task: 'Both', perKey: isKeyed, concurrency: 1 })
    assert.equal([set.perKey, set.concurrency, set.declaredConcurrency], [isKeyed, 1, isKeyed ? 3 : 7])
    const others = (await limits.list()).filter(({ setAt }) => setAt !== null)
    assert.equal(others, [set])
    assert.is((await limits.reset({ task: 'Both', perKey: isKeyed })).concurrency, isKeyed ? 3 : 7)
  }
})

const TARGETS: readonly [given: unknown, type: typeof TypeError | typeof BackgroundError, message: RegExp][] = [
  [undefined, TypeError, /, not an object$/],
  [{}, TypeError, /: give one of task, limit and queue, not 0 of them$/],
  [{ task: 'Both', limit: 'stripe' }, TypeError, /: give one of task, limit and queue, not 2 of them$/],
  [{ task: 1 }, TypeError, /: task is .+, neither a task nor a name$/],
  [{ limit: 1 }, TypeError, /: limit is .+, not a string$/],
  [{ limit: null }, TypeError, /: limit is null, not a string$/],
  [{ limit: { concurrency: 1 } }, TypeError, /: limit is .+, not a string$/],
  [{ limit: 'stripe', perKey: true }, TypeError, /: perKey is only for the limits of a task$/],
  [{ task: 'Both', perKey: 1 }, TypeError, /: perKey is neither true nor false$/],
  [{ task: 'Both', limits: 1 }, TypeError, /: there is no option limits\. Did you mean limit\?$/],
  [
    { task: 'Both' },
    BackgroundError,
    /: it has two, one for each key and one for all jobs\. Say which one with perKey$/
  ],
  [{ limit: 'strip' }, BackgroundError, /^Cannot (re)?set the limit of strip: .*Did you mean stripe\?$/],
  [{ task: 'Bot' }, BackgroundError, /^Cannot (re)?set the limit of the task Bot: .*Did you mean Both\?$/],
  [{ task: 'stripe' }, BackgroundError, /^Cannot (re)?set the limit of the task stripe: /],
  [{ limit: 'Both' }, BackgroundError, /^Cannot (re)?set the limit of Both: /],
  [{ task: 'Plain' }, BackgroundError, /^Cannot (re)?set the limit of the task Plain: /],
  [{ task: 'Refund' }, BackgroundError, /^Cannot (re)?set the limit of the task Refund: /],
  [{ task: 'Charge', perKey: false }, BackgroundError, /^Cannot (re)?set the limit of the task Charge: /]
]

for (const [given, type, message] of TARGETS) {
  test(`refuse ${inspect(given, { breakLength: Number.POSITIVE_INFINITY })} and change nothing`, async () => {
    const before = await limits.list()
    const options = given as { task: string }
    for (const call of [
      () => limits.set((given && { ...options, concurrency: 1 }) as never),
      () => limits.reset(options)
    ]) {
      const error = await call().catch(error => error)
      assert.instance(error, type, String(error))
      assert.match(error.message, message)
      if (error instanceof BackgroundError) assert.is(error.code, 'NO_LIMIT')
    }
    assert.equal(await limits.list(), before)
  })
}

for (const [concurrency, type] of [
  [0, RangeError],
  [-1, RangeError],
  [1.5, RangeError],
  [1_000_001, RangeError],
  [Number.NaN, RangeError],
  ['5', TypeError],
  [null, TypeError],
  [undefined, TypeError]
] as const) {
  test(`refuse a concurrency of ${inspect(concurrency)}`, async () => {
    const error = await limits.set({ limit: 'stripe', concurrency: concurrency as number }).catch(error => error)
    assert.instance(error, type, String(error))
    assert.match(error.message, /^Cannot set the limit: (?:concurrency is |give concurrency or rate)/)
    assert.equal((await limits.list())[0], { ...STRIPE, ...IDLE })
  })
}

test('say so if no worker has registered any limit', async () => {
  const { background } = await prepare()
  assert.equal(await background.limits.list(), [])
  const error = await background.limits.set({ limit: 'stripe', concurrency: 1 }).catch(error => error)
  assert.is(error.code, 'NO_LIMIT')
  assert.is(error.message, 'Cannot set the limit of stripe: no worker has registered any limit yet')
})

test('let more jobs begin at once if a limit is raised, on workers that do not poll', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Held = defineTask({ name: 'Held', limit: { concurrency: 2 }, run: record.hold('Held') })
  await work(database, { tasks: { Held }, concurrency: 4, ...POLL })
  await background.scheduleMany({ task: Held, payloads: payloads(20) })
  await areRunning(record, 2)
  const rest = await workAtRest(database, { tasks: { Held }, concurrency: 4, ...POLL })
  await rest()
  const { used, waiting, concurrency } = await background.limits.set({ task: Held, concurrency: 3 })
  assert.ok(used >= 2 && waiting <= 18, `${used} in use and ${waiting} waiting`)
  assert.is(concurrency, 3)
  await areRunning(record, 3)
  await rest()
  assert.is(record.running.length, 3)
  await background.limits.set({ task: Held, concurrency: 8 })
  await areRunning(record, 8)
  await background.limits.reset({ task: Held })
  record.open()
  await isAllDone(database)
  assert.is(record.most, 8)
})

test('let a worker without slots begin at once if a limit is raised', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Held = defineTask({ name: 'Held', limit: { concurrency: 2 }, run: record.hold('Held') })
  const rest = await workAtRest(database, { tasks: { Held }, ...POLL })
  await database.sql`
    insert into kretes.leases (limit_name, part, worker, lane, slots) values ('task Held', '', 'another', 0, 2)`
  await background.scheduleMany({ task: Held, payloads: payloads(20) })
  await rest()
  assert.equal(record.begun, [])
  await background.limits.set({ task: Held, concurrency: 5 })
  await areRunning(record, 3)
  await database.sql`delete from kretes.leases where worker = 'another'`
  await background.limits.reset({ task: Held })
  record.open()
  await isAllDone(database)
})

test('let running jobs go on if a limit is lowered, and none begin until enough are over', async () => {
  const { database, background } = await prepare()
  const [first, second] = [createRecord(), createRecord()]
  const Held = defineTask({
    name: 'Held',
    limit: { concurrency: 4 },
    run: (payload: Numbered, context) => (payload.n! <= 2 ? first : second).hold('Held')(payload, context)
  })
  await work(database, { tasks: { Held, Free: run }, ...POLL })
  await background.scheduleMany({ task: Held, payloads: payloads(20) })
  await areRunning(second, 2)
  // It has given back those that wait behind them.
  await until(async () => (await countLocked(database)) === 4)
  await background.limits.set({ task: Held, concurrency: 2 })
  await background.result(await background.schedule({ task: 'Free' }))
  assert.equal([first.running.length, second.running.length], [2, 2])
  first.open()
  await haveEnded(first, 2)
  await background.result(await background.schedule({ task: 'Free' }))
  assert.equal(second.begun, ['Held 3', 'Held 4'])
  assert.equal(await slotsOf(database), { 'task Held': 2 })
  await background.limits.set({ task: Held, concurrency: 1 })
  second.open()
  await haveEnded(second, 18)
  assert.is(second.most, 2)
  await isAllDone(database)
})

test('hold over a restart and a deployment, until they are taken back', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const taskOf = (concurrency: number) => defineTask({ name: 'Held', limit: { concurrency }, run: record.hold('Held') })
  const first = await work(database, { tasks: { Held: taskOf(4) }, ...POLL })
  await registered(database)
  const { setAt } = await background.limits.set({ task: 'Held', concurrency: 2 })
  await first.stop()
  await work(database, { tasks: { Held: taskOf(5) }, ...POLL })
  await registered(database)
  const [limit] = await background.limits.list()
  assert.equal([limit?.concurrency, limit?.declaredConcurrency, limit?.setAt], [2, 5, setAt])
  await background.scheduleMany({ task: taskOf(5), payloads: payloads(20) })
  await areRunning(record, 2)
  record.open()
  await isAllDone(database)
})

test('know the limits of the newest code alone, and jobs run on that have had others', async () => {
  const { database, background } = await prepare()
  const record = createRecord()
  const Held = defineTask({ name: 'Held', limit: { concurrency: 1, per: perKey }, run })
  const first = await work(database, { tasks: { Held }, ...POLL })
  await registered(database)
  await first.stop()
  await background.scheduleMany({ task: Held, payloads: payloads(15, 'a') })
  await background.scheduleMany({ task: Held, payloads: payloads(15, 'b') })
  const Free = defineTask({ name: 'Held', run: record.hold('Held') })
  await work(database, { tasks: { Held: Free }, concurrency: 30, ...POLL })
  await areRunning(record, 30)
  assert.equal(await background.limits.list(), [])
  const job = await background.schedule({ task: 'Held', payload: { n: 16 } })
  record.open()
  await background.result(job)
  await isAllDone(database)
})
