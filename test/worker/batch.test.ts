import { createBatchSizer } from '../../src/worker/claiming/batch-size.ts'
import { resolveOptions } from '../../src/worker/options.ts'
import { assert, suite } from '../helpers/suite.ts'
import { virtualTime } from '../helpers/virtual-time.ts'

const test = suite('the number of jobs that are fetched at once')

/** What may happen to it. */
const EVENTS = ['more', 'fewer', 'returned'] as const
type Event = (typeof EVENTS)[number]

test('is a whole number from 1 to the most that is allowed, whatever happens and at any concurrency', () => {
  for (let concurrency = 1; concurrency <= 20; concurrency++) {
    const { localQueueSize: least, maxLocalQueueSize: most } = resolveOptions({ concurrency })
    const limits = { concurrency, least, most }
    const sizes = reachable(limits)
    for (const size of sizes) {
      assert.ok(Number.isInteger(size) && size >= 1 && size <= most, `${size} at a concurrency of ${concurrency}`)
    }
    for (const size of [least, most, concurrency]) assert.ok(sizes.has(size), `${size} is never reached`)
  }
})

interface Limits {
  readonly concurrency: number
  readonly least: number
  readonly most: number
}

/** Every size that some sequence of events leads to. */
function reachable(limits: Limits): Set<number> {
  const ways = new Map<number, readonly Event[]>([[limits.least, []]])
  // What is added meanwhile is visited, too.
  for (const way of ways.values()) {
    for (const event of EVENTS) {
      const next = [...way, event]
      const size = sizeAfter(limits, next)
      if (!ways.has(size)) ways.set(size, next)
    }
  }
  return new Set(ways.keys())
}

function sizeAfter(limits: Limits, events: readonly Event[]): number {
  using time = virtualTime()
  const sizer = createBatchSizer(limits)
  for (const event of events) {
    if (event === 'returned') {
      sizer.givenBack()
      continue
    }
    // A fetch that takes longer than the jobs of the one before is worth more of them.
    sizer.fetching()
    time.pass(10)
    sizer.fetched(Array.from({ length: event === 'more' ? sizer.size : 0 }, () => ({ job_queue_id: null })))
  }
  return sizer.size
}
