import { claimingTimings } from '../../src/rules/timings.ts'
import { createPacer, type Pacer, pauseAfterMany } from '../../src/worker/claiming/pace.ts'
import { assert, suite } from '../helpers/suite.ts'
import { type VirtualTime, virtualTime } from '../helpers/virtual-time.ts'

const test = suite('the pace of fetches')

type Jobs = readonly { job_queue_id: number | null }[]

const QUEUED: Jobs = [{ job_queue_id: 1 }]
const PARALLEL: Jobs = [{ job_queue_id: null }]

/** Polls come so seldom that none comes during a test. */
const SELDOM_MS = 600_000

/** How long an expensive fetch takes, and for how long there is no scan after one in vain, and after six. */
const LONG_MS = 10
const SCAN_PAUSE_MS = 50
const LONG_PAUSE_MS = 500

let time: VirtualTime
test.before.each(() => {
  time = virtualTime()
})
test.after.each(() => time[Symbol.dispose]())

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
    time.pass(SCAN_PAUSE_MS - 1)
    assert.is(counts.wakes, 0)
    time.pass(1)
    assert.is(counts.wakes, 1)
    assert.is(await fetch(pacer, []), true)
  }
})

test('does not wake the worker for a look that no fetch has missed', async () => {
  const { pacer, counts } = await start()
  assert.is(await fetch(pacer, [], LONG_MS), true)
  time.pass(SELDOM_MS)
  assert.is(counts.wakes, 0)
  assert.is(await fetch(pacer, []), true)
})

test('takes no fetch for expensive only because the server is far away', async () => {
  const { pacer } = open()
  for (const tookMs of [200, 203, 200, 198, 201]) assert.is(await turnOf(pacer, [], { tookMs }), 'first')
  assert.is(await turnOf(pacer, [], { tookMs: 210 }), 'first')
  assert.is(await turnOf(pacer, []), 'none')
})

test('looks for queues after a poll interval at the latest', async () => {
  const { pacer, counts } = await start(LONG_MS)
  await fetch(pacer, [], LONG_MS)
  assert.is(await fetch(pacer, []), false)
  time.pass(LONG_MS)
  assert.is(counts.wakes, 1)
  assert.is(await fetch(pacer, []), true)
})

test('takes no fetch without a look for queues for one in vain', async () => {
  const { pacer, counts } = await start()
  await fetch(pacer, [], LONG_MS)
  assert.is(await fetch(pacer, PARALLEL, LONG_MS), false)
  time.pass(SCAN_PAUSE_MS)
  assert.is(counts.wakes, 1)
  assert.is(await fetch(pacer, QUEUED), true)
  assert.is(await fetch(pacer, []), true)
})

test('looks at all queues after a fetch that may have missed some, and at the first jobs again once it has found one', async () => {
  const { pacer, counts } = await start()
  assert.is(await turnOf(pacer, [], { isCovered: true }), 'first')
  assert.is(await turnOf(pacer, QUEUED), 'all')
  assert.is(await turnOf(pacer, [], { isCovered: true }), 'first')
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
    assert.is(await turnOf(pacer, [], { isCovered: true }), 'first')
    assert.is(await turnOf(pacer, jobs), 'all')
    assert.is(await turnOf(pacer, PARALLEL), 'none')
    assert.is(await turnOf(pacer, []), 'none')
    time.pass(LONG_PAUSE_MS - 1)
    assert.is(counts.wakes, 0)
    time.pass(1)
    assert.is(counts.wakes, 1)
    assert.is(await turnOf(pacer, QUEUED), 'first')
  }
})

test('pauses the look for queues for much longer after several in a row that were expensive and in vain', async () => {
  const { pacer } = await start()
  for (let round = 0; round < 2; round++) {
    for (let n = 0; n < 5; n++) {
      assert.is(await turnOf(pacer, [], { tookMs: LONG_MS }), 'first')
      assert.is(await turnOf(pacer, PARALLEL), 'none')
      time.pass(SCAN_PAUSE_MS)
    }
    assert.is(await turnOf(pacer, [], { tookMs: LONG_MS }), 'first')
    time.pass(LONG_PAUSE_MS - 1)
    assert.is(await turnOf(pacer, PARALLEL), 'none')
    time.pass(1)
    // One that is cheap, or finds a job, ends the row.
    assert.is(await turnOf(pacer, round === 0 ? [] : QUEUED), 'first')
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
  time.pass(pauseAfterMany(claimingTimings.delayMs, 1))
  await turn.over
  pacer.fetched(PARALLEL)
  await fetch(pacer, [])
  assert.equal(
    [0, 4, 5, 10, 100].map(vainInRow => pauseAfterMany(10, vainInRow)),
    [10, 10, 20, 40, 100]
  )
})

test('looks for queues again at once after a fetch that took long because it returned many jobs', async () => {
  const { pacer } = await start()
  await fetch(pacer, [])
  const many = Array.from({ length: 10_000 }, () => ({ job_queue_id: null }))
  assert.is(await fetch(pacer, many, 15), true)
  assert.is(await fetch(pacer, []), true)
  await fetch(pacer, many.slice(0, 1), 15)
  assert.is(await fetch(pacer, []), false)
})

interface Started {
  readonly pacer: Pacer
  readonly counts: { wakes: number }
}

/** Makes a pacer that knows how long a cheap fetch takes. */
async function start(pollIntervalMs = SELDOM_MS): Promise<Started> {
  const started = open(pollIntervalMs)
  await fetch(started.pacer, PARALLEL)
  return started
}

function open(pollIntervalMs = SELDOM_MS): Started {
  const counts = { wakes: 0 }
  return { pacer: createPacer(pollIntervalMs, () => void counts.wakes++), counts }
}

/** A fetch that need not wait. Returns whether it looks for queues. */
async function fetch(pacer: Pacer, jobs: Jobs, tookMs = 0): Promise<boolean> {
  const turn = begin(pacer)
  await turn.hasBegun
  assert.ok(turn.isOver, 'it waits')
  const { scans } = await turn.over
  time.pass(tookMs)
  pacer.fetched(jobs)
  return scans !== 'none'
}

/** Like {@linkcode fetch}. Returns where it looks for queues. */
async function turnOf(pacer: Pacer, jobs: Jobs, { isCovered = false, tookMs = 0 } = {}): Promise<string> {
  const { scans } = await pacer.turn()
  time.pass(tookMs)
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
