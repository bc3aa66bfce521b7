import type { Job } from '../job.ts'
import type { NewJob } from '../sql/jobs/add.ts'
import type { Access } from '../sql/statement.ts'
import { addAgain, addAll } from './add.ts'
import { type Batcher, type Call, createBatcher } from './batcher.ts'
import { isFaultOfOne } from './failure.ts'

/** Adds one job. Calls that are made at the same time share statements. */
export type AddOne = (job: NewJob) => Promise<Job>

/**
 * Adds job by job while calls come one at a time, and in groups while they come faster than the database answers. Each
 * call gets its own job or its own error.
 *
 * @param access commits each statement before it resolves
 */
export function createGroups(access: Access): AddOne {
  // Jobs without a queue may overtake each other. Jobs of a queue keep the order of their calls: a group begins when the
  // one before it has ended. Jobs with a key or a time are slower, and may wait for another transaction with that key, so
  // they have a batcher of their own.
  const free = createBatcher(2, send)
  const queued = createBatcher(1, send)
  const single = createBatcher(1, send)
  // Two batchers keep no order between them, so the calls of a queue stay with one while any of them is under way.
  const queues = new Map<string, { readonly batcher: Batcher; calls: number }>()

  async function send(calls: readonly Call[]): Promise<void> {
    try {
      settle(
        calls,
        await addAll(
          access,
          calls.map(({ job }) => job)
        )
      )
    } catch (error) {
      if (calls.length > 1 && isFaultOfOne(error)) return await sendHalves(calls)
      for (const { reject } of calls) reject(error)
    }
  }

  /** The server has undone the whole statement. Sending halves in order isolates the jobs at fault in few statements. */
  async function sendHalves(calls: readonly Call[]): Promise<void> {
    const middle = calls.length >> 1
    await send(calls.slice(0, middle))
    await send(calls.slice(middle))
  }

  function settle(calls: readonly Call[], jobs: readonly (Job | undefined)[]): void {
    for (const [index, call] of calls.entries()) {
      const job = jobs[index]
      if (job) call.resolve(job)
      else addAgain(access, call.job).then(call.resolve, call.reject)
    }
  }

  function addTo(batcher: Batcher, job: NewJob): Promise<Job> {
    return new Promise((resolve, reject) => batcher.add({ job, resolve, reject }))
  }

  async function addToQueue(name: string, batcher: Batcher, job: NewJob): Promise<Job> {
    const queue = queues.get(name) ?? { batcher, calls: 0 }
    if (queue.calls++ === 0) queues.set(name, queue)
    try {
      return await addTo(queue.batcher, job)
    } finally {
      if (--queue.calls === 0) queues.delete(name)
    }
  }

  return job => {
    const isSingle = job.key !== null || job.runAt !== null
    if (job.queue === null || job.isLimited) return addTo(isSingle ? single : free, job)
    return addToQueue(job.queue, isSingle ? single : queued, job)
  }
}
