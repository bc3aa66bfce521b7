import type { Job } from '../job.ts'
import { GROUP_LIMIT, type NewJob } from '../sql/jobs/add.ts'
import { CHUNK_SIZE } from './chunk.ts'

/** A call that waits for its job. */
export interface Call {
  readonly job: NewJob
  resolve(job: Job): void
  reject(error: unknown): void
}

/** Sends calls in the order in which they come. */
export interface Batcher {
  /** Sends a call at once if no call is under way, or else together with all others that wait. */
  add(call: Call): void
}

/**
 * Creates a batcher without a timer. The first call is sent alone and at once. Calls that are made meanwhile wait, and
 * are sent together when the first has its answer.
 *
 * @param width how many groups may be under way at a time; more than one gives up the order
 * @param send settles each of the calls, and never rejects
 */
export function createBatcher(width: number, send: (calls: readonly Call[]) => Promise<void>): Batcher {
  let waiting: Call[] = []
  let next = 0
  let underWay = 0

  function sendNow(calls: readonly Call[]): void {
    underWay++
    send(calls).then(() => {
      underWay--
      if (next < waiting.length) sendNow(take())
    })
  }

  /** Takes as many calls from the front as fit into one statement. */
  function take(): readonly Call[] {
    let end = next
    for (let size = 0; end < waiting.length && end - next < GROUP_LIMIT; end++) {
      size += waiting[end]?.job.payload.length ?? 0
      if (size > CHUNK_SIZE && end > next) break
    }
    const calls = waiting.slice(next, end)
    next = end
    // Removing each call would move all calls behind it. Keeping all of them would keep their payloads in memory.
    if (next === waiting.length || next > 10 * GROUP_LIMIT) {
      waiting = waiting.slice(next)
      next = 0
    }
    return calls
  }

  return {
    add(call) {
      if (underWay < width) sendNow([call])
      else waiting.push(call)
    }
  }
}
