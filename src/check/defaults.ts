import type { JobDefaults } from '../job.ts'
import { describe } from '../text/describe.ts'
import { checkWholeNumber } from './values.ts'

/** Checks the options that a call, a task and a Background can set. */
export function checkDefaults({ queue, priority, maxAttempts }: JobDefaults, doing: string): void {
  if (queue !== undefined && queue !== null && (typeof queue !== 'object' || typeof queue.name !== 'string')) {
    throw new TypeError(`Cannot ${doing}: queue is ${describe(queue)}, not made by Queue.for() or Queue.random()`)
  }
  if (queue?.concurrency !== undefined) {
    checkWholeNumber(queue.concurrency, [1, 1_000_000], doing, 'the concurrency of the queue')
  }
  if (priority !== undefined) checkWholeNumber(priority, [-32_768, 32_767], doing, 'priority')
  if (maxAttempts !== undefined) checkWholeNumber(maxAttempts, [1, 32_767], doing, 'maxAttempts')
}
