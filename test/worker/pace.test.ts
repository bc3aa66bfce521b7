import { setTimeout as sleep } from 'node:timers/promises'
import { createPacer, type Pacer, pauseAfterMany } from '../../src/worker/claiming/pace.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'

const test = suite('the pace of fetches')

const QUEUED = [{ job_queue_id: 1 }]
const PARALLEL = [{ job_queue_id: null }]

/** Polls come so seldom that a test that has to wait for one fails. */
const SELDOM_MS = 600_000

/** How long an expensive fetch takes. A scan is then paused for half a second at least. */
const LONG_MS = 10

test('looks for queues each time, while that is cheap or finds some', async () => {
  const { pacer } = await start()
  for (const [jobs, tookMs] of [
    [PARALLEL, 0],
    [[], 0],
    [QUEUED, LONG_MS],
    [QUEUED, 0],
    [[], 0]
  ] as const) {
    assert.is(await fetch(pacer, jobs, tookMs), true)
  }
})

test('pauses the look for queues after one that was expensive and in vain, and lets other fetches go on', async () => {
  for (const jobs of [PARALLEL, []]) {
    const { pacer, counts } = await start()
    assert.is(await fetch(pacer, jobs, LONG_MS), true)
    for (let n = 0; n < 3; n++) {
      pacer.scheduled()
      assert.is(await fetch(pacer, PARALLEL), false)
    }
    await until(() => counts.wakes === 1)
    assert.is(await fetch(pacer, []), true)
  }
})

test('does not wake the worker for a look that no fetch has missed', async () => {
  const { pacer, counts } = await start(20)
  assert.is(await fetch(pacer, [], LONG_MS), true)
  await sleep(60)
  assert.is(counts.wakes, 0)
  assert.is(await fetch(pacer, []), true)
})

test('takes no fetch for expensive only because the server is far away', async () => {
  const now = performance.now
  let nowMs = 0
  performance.now = () => nowMs
  try {
    const pacer = createPacer(SELDOM_MS, () => {})
    for (const tookMs of [200, 203, 200, 198, 201]) {
      const { scans } = await pacer.turn()
      nowMs += tookMs
      pacer.fetched([])
      assert.is(scans, 'first')
    }
    await pacer.turn()
    nowMs += 210
    pacer.fetched([])
    assert.is((await pacer.turn()).scans, 'none')
    pacer.stop()
  } finally {
    performance.now = now
  }
})

test('looks for queues after a poll interval at the latest', async () => {
  const { pacer, counts } = await start(LONG_MS)
  await fetch(pacer, [], LONG_MS)
  assert.is(await fetch(pacer, []), false)
  await until(() => counts.wakes === 1)
  assert.is(await fetch(pacer, []), true)
})

test('takes no fetch without a look for queues for one in vain', async () => {
  const { pacer, counts } = await start()
  await fetch(pacer, [], LONG_MS)
  assert.is(await fetch(pacer, PARALLEL, LONG_MS), false)
  await until(() => counts.wakes === 1)
  assert.is(await fetch(pacer, QUEUED), true)
  assert.is(await fetch(pacer, []), true)
})

test('looks at all queues after a fetch that may have missed some, and at the first jobs again once it has found one', async () => {
  const { pacer, counts } = await start()
  assert.is(await turnOf(pacer, [], true), 'first')
  assert.is(await turnOf(pacer, QUEUED), 'all')
  assert.is(await turnOf(pacer, [], true), 'first')
  assert.is(await turnOf(pacer, QUEUED), 'all')
  assert.is(await turnOf(pacer, []), 'first')
  assert.is(counts.wakes, 0)
})

test('has a fetch made now that looks at all queues, even one after many that were in vain', async () => {
  const { pacer } = await start()
  assert.is(await pacer.turn().then(() => pacer.fetched([], true)), true)
  assert.is(await pacer.turn().then(() => pacer.fetched([], false)), false)
  const other = await start()
  for (let n = 0; n <= 30; n++) {
    await other.pacer.turn()
    assert.is(other.pacer.fetched([], true), true)
  }
})

test('looks for no queues for a while after a look at all queues in vain, however cheap, but takes other jobs', async () => {
  for (const jobs of [[], PARALLEL]) {
    const { pacer, counts } = await start()
    assert.is(await turnOf(pacer, [], true), 'first')
    assert.is(await turnOf(pacer, jobs), 'all')
    assert.is(await turnOf(pacer, PARALLEL), 'none')
    assert.is(await turnOf(pacer, []), 'none')
    await until(() => counts.wakes === 1)
    assert.is(await turnOf(pacer, QUEUED), 'first')
  }
})

test('delays fetches after one that was expensive although it did not look for queues', async () => {
  const { pacer } = await start()
  await fetch(pacer, [], LONG_MS)
  assert.is(await fetch(pacer, [], LONG_MS), false)
  const turn = begin(pacer)
  await turn.hasBegun
  assert.is(turn.isOver, false)
  pacer.scheduled()
  await turn.hasBegun
  assert.is(turn.isOver, false, 'any login can notify')
  assert.is(pacer.hurry(), true)
  await turn.over
  assert.is(pacer.hurry(), false, 'nothing waits any more')
})

test('delays cheap fetches after many in vain, longer and longer', async () => {
  const { pacer } = await start()
  for (let n = 0; n <= 20; n++) await fetch(pacer, [])
  const turn = begin(pacer)
  await turn.hasBegun
  assert.is(turn.isOver, false)
  await turn.over
  pacer.fetched(PARALLEL)
  await fetch(pacer, [])
  assert.equal(
    [0, 4, 5, 10, 100].map(vainInRow => pauseAfterMany(10, vainInRow)),
    [10, 10, 20, 40, 100]
  )
})

interface Started {
  readonly pacer: Pacer
  readonly counts: { wakes: number }
}

/** Makes a pacer that knows how long a cheap fetch takes. */
async function start(pollIntervalMs = SELDOM_MS): Promise<Started> {
  const counts = { wakes: 0 }
  const pacer = createPacer(pollIntervalMs, () => void counts.wakes++)
  onceDone(() => pacer.stop())
  await fetch(pacer, PARALLEL)
  return { pacer, counts }
}

test('looks for queues again at once after a fetch that took long because it returned many jobs', async () => {
  const { pacer } = await start()
  await fetch(pacer, [])
  const many = Array.from({ length: 10_000 }, () => ({ job_queue_id: null }))
  assert.is(await fetch(pacer, many, 15), true)
  assert.is(await fetch(pacer, []), true)
  await fetch(pacer, many.slice(0, 1), 15)
  assert.is(await fetch(pacer, []), false)
})

/** A fetch that need not wait. Returns whether it looks for queues. */
async function fetch(pacer: Pacer, jobs: readonly { job_queue_id: number | null }[], tookMs = 0): Promise<boolean> {
  const turn = begin(pacer)
  await turn.hasBegun
  assert.ok(turn.isOver, 'it waits')
  const { scans } = await turn.over
  if (tookMs > 0) await sleep(tookMs)
  pacer.fetched(jobs)
  return scans !== 'none'
}

/** A fetch that takes no time. Returns where it looks for queues. */
async function turnOf(
  pacer: Pacer,
  jobs: readonly { job_queue_id: number | null }[],
  isCovered = false
): Promise<string> {
  const { scans } = await pacer.turn()
  pacer.fetched(jobs, isCovered)
  return scans
}

interface Begun {
  readonly isOver: boolean
  readonly over: ReturnType<Pacer['turn']>
  /** Resolves once all that needs no time has happened. */
  readonly hasBegun: Promise<void>
}

function begin(pacer: Pacer): Begun {
  let isOver = false
  const over = pacer.turn().then(turn => {
    isOver = true
    return turn
  })
  const hasBegun = new Promise<void>(resolve => setImmediate(resolve))
  return {
    get isOver() {
      return isOver
    },
    over,
    hasBegun
  }
}
