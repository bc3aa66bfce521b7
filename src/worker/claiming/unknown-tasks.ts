import type { Logger } from '../../logger.ts'
import { claimingTimings } from '../../rules/timings.ts'

/** The options of {@linkcode createUnknownTasks}. */
export interface UnknownTasksOptions {
  /** Returns the tasks of due jobs that no worker has. */
  find(): Promise<readonly string[]>
  readonly logger: Logger
}

/** Warns about waiting jobs whose task no worker has, for example a task that a minifier has renamed. */
export interface UnknownTasks {
  /** Call when a fetch has left no job that this worker could run. Looks soon, and at most once a minute. */
  fetchedAll(): void
  look(): Promise<void>
  stop(): void
}

/** Warns once for each task. */
export function createUnknownTasks({ find, logger }: UnknownTasksOptions): UnknownTasks {
  const warned = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  let lookFromMs = Number.NEGATIVE_INFINITY

  async function look(): Promise<void> {
    try {
      const tasks = (await find()).filter(task => !warned.has(task))
      if (tasks.length === 0) return
      for (const task of tasks) warned.add(task)
      const problem = `Jobs wait for tasks that no worker has: ${tasks.join(', ')}`
      const remedy = 'Start a worker that has these tasks, or delete the jobs'
      logger.warn(`${problem}. ${remedy}`, { event: 'worker.unknown-tasks', tasks })
    } catch (error) {
      logger.debug(`Cannot look for jobs of unknown tasks: ${error}`, { error })
    }
  }

  return {
    fetchedAll() {
      if (performance.now() < lookFromMs) return
      lookFromMs = performance.now() + claimingTimings.unknownEveryMs
      timer = setTimeout(look, claimingTimings.unknownDelayMs)
      timer.unref()
    },
    look,
    stop: () => clearTimeout(timer)
  }
}
