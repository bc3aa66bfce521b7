import { weightOf } from '../../../limit/lane.ts'
import type { Logger } from '../../../logger.ts'
import { type AnyTask, optionsOf } from '../../../task.ts'

/**
 * Weighs the keys of tasks. A key that the task's code cannot weigh has one turn, and the log says so once for each task.
 * Jobs without a task are those of a queue, which has no keys.
 */
export function createWeights(
  tasks: ReadonlyMap<string, AnyTask>,
  logger: Logger
): (task: string | null, key: string) => number {
  const failed = new Set<string>()
  return (task, key) => {
    if (task === null) return 1
    try {
      return weightOf(optionsOf(tasks.get(task)).limit, key)
    } catch (error) {
      const message = `Cannot weigh a key of ${task}, so it has one turn like others: ${error instanceof Error ? error.message : error}`
      if (!failed.has(task)) logger.warn(message, { event: 'limit.unweighed', task, error })
      failed.add(task)
      return 1
    }
  }
}
