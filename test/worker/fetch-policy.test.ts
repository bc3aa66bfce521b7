import { silentLogger } from '../../src/logger.ts'
import { claimingTimings } from '../../src/rules/timings.ts'
import type { Scan } from '../../src/sql/worker/claim/queues.ts'
import type { ClaimedJob } from '../../src/sql/worker/claim.ts'
import { createFetchPolicy, type FetchPolicy, type FetchState } from '../../src/worker/claiming/fetch-policy.ts'
import { pauseAfterMany } from '../../src/worker/claiming/pace.ts'
import { resolveOptions } from '../../src/worker/options.ts'
import { assert, suite } from '../helpers/suite.ts'
import { type VirtualTime, virtualTime } from '../helpers/virtual-time.ts'

const test = suite('what a worker does about new jobs')

const CONCURRENCY = 4
const SIZE = CONCURRENCY * 5

let time: VirtualTime
test.before.each(() => {
  time = virtualTime()
})
test.after.each(() => time[Symbol.dispose]())

test('is to ask, to run what it has got, and to sleep when that is not enough', async () => {
  const { policy, engine } = start()
  const states: FetchState[] = [policy.state]
  const asking = policy.begin()
  states.push(policy.state)
  await asking
  states.push(policy.state)
  policy.fetched(jobs(SIZE))
  engine.isHungry = false
  states.push(policy.state)
  engine.isHungry = true
  states.push(policy.state)
  assert.equal(states, ['hungry', 'resting', 'fetching', 'fed', 'hungry'])
})

test('is to ask again after a fetch that failed', async () => {
  const { policy } = start()
  await policy.begin()
  policy.failed()
  assert.is(policy.state, 'hungry')
  assert.is((await policy.begin()).size, SIZE)
})

const FETCHES: readonly [what: string, jobs: readonly ClaimedJob[], wakes: number, isCut?: boolean][] = [
  ['a full one, since there may be more', jobs(SIZE), 1],
  ['one of named queues, each of which gave but one job', jobs(1, { job_queue_id: 1 }), 1],
  ['one that was cut, since its payloads are large', jobs(1), 1, true],
  ['no short one', jobs(SIZE - 1), 0],
  ['no empty one', [], 0]
]

for (const [what, brought, wakes, isCut] of FETCHES) {
  test(`is to fetch once more after ${what}`, async () => {
    const { policy, engine } = start()
    await policy.begin()
    policy.fetched(brought, { isCut })
    assert.is(engine.wakes, wakes)
  })
}

test('is to rest after many fetches in vain, until one will hardly be in vain', async () => {
  for (const hurry of [
    (policy: FetchPolicy) => policy.settled({ released: [1], keepsJobs: false }),
    (policy: FetchPolicy) => policy.givenBack(1, true),
    (policy: FetchPolicy) => policy.drain()
  ]) {
    const { policy, engine } = start()
    await restless(policy)
    const asking = policy.begin()
    assert.is(policy.state, 'resting')
    // Any login can send notifications.
    policy.scheduled()
    await Promise.resolve()
    assert.is(policy.state, 'resting')
    hurry(policy)
    assert.is.not(await Promise.race([asking, settled('not yet')]), 'not yet')
    assert.is(policy.state, 'fetching')
    assert.is(engine.wakes, 0)
  }
})

test('is to take the next job of a queue that it has released, or to leave it to another when it has jobs at hand', async () => {
  const { policy, engine } = start()
  const release = (): void => policy.settled({ released: [1], keepsJobs: false })
  release()
  assert.equal([engine.wakes, engine.others], [1, []])
  engine.isHungry = false
  release()
  release()
  assert.equal([engine.wakes, engine.others], [1, [1]])
  policy.settled({ released: [], keepsJobs: false })
  assert.equal([engine.wakes, engine.others], [1, [1]])
})

test('is to ask for the queues that it has released, once, whether it looks for other queues or not', async () => {
  const { policy } = start()
  const fetch = async (): Promise<[Scan, readonly number[]]> => {
    const { scans, also } = await policy.begin()
    return [scans, also]
  }
  await fetch()
  policy.fetched(jobs(1))
  policy.settled({ released: [7], keepsJobs: false })
  assert.equal(await fetch(), ['first', [7]])
  time.pass(10)
  policy.fetched(jobs(1))
  policy.settled({ released: [7, 8], keepsJobs: false })
  assert.equal(await fetch(), ['none', [7, 8]])
  policy.fetched(jobs(1, { job_queue_id: 7 }))
  assert.equal(await fetch(), ['none', []])
})

test('is to tell the others of jobs that only they take on a queue that it has released, soon and not for each queue', async () => {
  const { policy, engine } = start()
  const release = async (): Promise<void> => {
    policy.settled({ released: [7], keepsJobs: false })
    await policy.begin()
    policy.fetched([], { leavesJobs: true })
  }
  await policy.begin()
  policy.fetched(jobs(1))
  await release()
  assert.equal(engine.others, [1])
  await release()
  await release()
  assert.equal(engine.others, [1])
  time.pass(claimingTimings.forwardEveryMs - 1)
  assert.equal(engine.others, [1])
  time.pass(1)
  assert.equal(engine.others, [1, 1])
})

test('is to tell the others of jobs that it gives back, and to take no more than it can run', async () => {
  const { policy, engine } = start()
  await policy.begin()
  policy.fetched(jobs(SIZE))
  policy.givenBack(7, false)
  assert.equal(engine.others, [7])
  assert.is((await policy.begin()).size, CONCURRENCY)
})

test('is to look when jobs come due: at its start, after an empty fetch, when jobs run again', async () => {
  const { policy, engine } = start()
  const looked = async (times: number): Promise<void> => {
    await settled()
    time.pass(pauseAfterMany(claimingTimings.duePauseMs, times))
    assert.is(engine.looks, times)
  }
  await looked(1)
  policy.settled({ released: [], keepsJobs: true })
  await looked(2)
  await policy.begin()
  policy.fetched([])
  await looked(3)
  policy.scheduled()
  await looked(4)
  engine.due.push(1)
  policy.scheduled()
  await settled()
  assert.is(engine.looks, 5)
  assert.is(engine.wakes, 0)
  time.pass(2)
  assert.is(engine.wakes, 1)
})

/** The engine, and the database, as far as the policy knows them. */
interface Surroundings {
  isHungry: boolean
  wake(): void
  wakes: number
  readonly others: number[]
  looks: number
  readonly due: number[]
}

function start(): { readonly policy: FetchPolicy; readonly engine: Surroundings } {
  const engine: Surroundings = {
    isHungry: true,
    wake: () => void engine.wakes++,
    wakes: 0,
    others: [],
    looks: 0,
    due: []
  }
  const policy = createFetchPolicy({
    onDue() {},
    options: resolveOptions({ concurrency: CONCURRENCY }),
    engine,
    wakeOthers: count => void engine.others.push(count),
    async look() {
      engine.looks++
      return engine.due
    },
    logger: silentLogger
  })
  return { policy, engine }
}

/** Resolves once all that needs no time has happened. */
function settled<T>(value?: T): Promise<T | undefined> {
  return new Promise(resolve => setImmediate(resolve, value))
}

/** Has it fetch in vain so often that the next fetch rests. */
async function restless(policy: FetchPolicy): Promise<void> {
  for (let fetches = 0; fetches <= 20; fetches++) {
    await policy.begin()
    policy.fetched([])
  }
}

function jobs(count: number, part: Partial<ClaimedJob> = {}): ClaimedJob[] {
  return Array.from({ length: count }, () => ({ job_queue_id: null, ...part }) as ClaimedJob)
}
