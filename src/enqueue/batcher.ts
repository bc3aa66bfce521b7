import type { Job } from '../job.ts'
import type { NewJob } from '../sql/add.ts'
import { GROUP_LIMIT } from '../sql/add.ts'
import { CHUNK_SIZE } from './chunk.ts'

/** A call that waits for its job. */
export interface Call {
  readonly job: NewJob
  resolve(job: Job): void
  reject(error: unknown): void
}

/** Calls of one kind, which leave in the order in which they came. */
export interface Lane {
  /** Sends a call at once if there is nothing before it, or else with all others that wait. */
  add(call: Call): void
}

/**
 * Groups calls without a timer: a call that finds the lane free leaves alone and at once; those made meanwhile wait,
 * and leave together as soon as it is back.
 *
 * @param width how many groups may be under way; more than one gives up the order
 * @param send settles each of the calls, and never rejects
 */
export function createLane(width: number, send: (calls: readonly Call[]) => Promise<void>): Lane {
  let waiting: Call[] = []
  let next = 0
  let underWay = 0

  function depart(calls: readonly Call[]): void {
    underWay++
    send(calls).then(() => {
      underWay--
      if (next < waiting.length) depart(take())
    })
  }

  /** As many as fit into one statement, from the front. */
  function take(): readonly Call[] {
    let end = next
    for (let size = 0; end < waiting.length && end - next < GROUP_LIMIT; end++) {
      size += waiting[end]?.job.payload.length ?? 0
      if (size > CHUNK_SIZE && end > next) break
    }
    const calls = waiting.slice(next, end)
    next = end
    // Shifting each off would move all behind it; keeping them would keep their payloads.
    if (next === waiting.length || next > 10 * GROUP_LIMIT) {
      waiting = waiting.slice(next)
      next = 0
    }
    return calls
  }

  return {
    add(call) {
      if (underWay < width) depart([call])
      else waiting.push(call)
    }
  }
}
