import { createPacer, type Pacer } from '../../src/worker/claiming/pace.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'

const test = suite('the pace of fetches')

const QUEUED = [{ job_queue_id: 1 }]
const PARALLEL = [{ job_queue_id: null }]

/** Polls and scans come so seldom that a test that has to wait for one fails. */
const SELDOM_MS = 600_000

test('scans behind the queues whose jobs it has, at once, while that pays', async () => {
  const pacer = createPacer(SELDOM_MS, SELDOM_MS)
  for (const jobs of [QUEUED, PARALLEL, QUEUED, QUEUED, []]) await fetch(pacer, jobs)
})

test('after a scan in vain waits until a queue is released', async () => {
  const pacer = await scanned()
  const turn = begin(pacer)
  await turn.hasBegun
  assert.is(turn.isOver, false)
  assert.is(pacer.hurry(), true)
  await turn.over
  assert.is(pacer.hurry(), false, 'nothing waits any more')
})

test('after a scan in vain waits until something is scheduled', async () => {
  const pacer = await scanned()
  const turn = begin(pacer)
  await turn.hasBegun
  assert.is(turn.isOver, false)
  pacer.scheduled()
  await turn.over
})

for (const [after, pollIntervalMs, scanIntervalMs] of [
  ['a while', SELDOM_MS, 1],
  ['a poll interval', 1, SELDOM_MS]
] as const) {
  test(`scans again by itself after ${after}`, async () => {
    const turn = begin(await scanned(pollIntervalMs, scanIntervalMs))
    await until(() => turn.isOver)
  })
}

test('does not take a fetch for a scan before which a queue was released', async () => {
  const pacer = createPacer(SELDOM_MS, SELDOM_MS)
  await fetch(pacer, QUEUED)
  pacer.hurry()
  for (const jobs of [[], QUEUED, []]) await fetch(pacer, jobs)
})

test('waits for no queue when it has jobs without one', async () => {
  const pacer = await scanned()
  pacer.hurry()
  for (const jobs of [PARALLEL, []]) await fetch(pacer, jobs)
})

/** A pacer whose last scan was in vain, and that has a queue's job again. */
async function scanned(pollIntervalMs = SELDOM_MS, scanIntervalMs = SELDOM_MS): Promise<Pacer> {
  const pacer = createPacer(pollIntervalMs, scanIntervalMs)
  for (const jobs of [QUEUED, []]) await fetch(pacer, jobs)
  pacer.hurry()
  await fetch(pacer, QUEUED)
  return pacer
}

/** A fetch that need not wait. */
async function fetch(pacer: Pacer, jobs: readonly { job_queue_id: number | null }[]): Promise<void> {
  const turn = begin(pacer)
  await turn.hasBegun
  assert.ok(turn.isOver, 'it waits')
  pacer.fetched(jobs)
}

interface Turn {
  readonly isOver: boolean
  readonly over: Promise<void>
  /** Resolves once all that needs no time has happened. */
  readonly hasBegun: Promise<void>
}

function begin(pacer: Pacer): Turn {
  let isOver = false
  const over = pacer.turn().then(() => {
    isOver = true
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
