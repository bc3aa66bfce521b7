import type { Logger } from '../../logger.ts'

/** What {@linkcode createUnknownTasks} takes. */
export interface UnknownTasksOptions {
  /** The tasks of due jobs that no worker knows. */
  find(): Promise<readonly string[]>
  readonly logger: Logger
}

/** Says when jobs wait that no worker will run, such as those of a task that a minifier has renamed. */
export interface UnknownTasks {
  /** A fetch has left nothing that this worker could run: looks soon, and not again for a while. */
  fetchedAll(): void
  look(): Promise<void>
  stop(): void
}

/** Says so once for each task. */
export function createUnknownTasks({ find, logger }: UnknownTasksOptions): UnknownTasks {
  const told = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  let lookFromMs = Number.NEGATIVE_INFINITY

  async function look(): Promise<void> {
    try {
      const tasks = (await find()).filter(task => !told.has(task))
      if (tasks.length === 0) return
      for (const task of tasks) told.add(task)
      const problem = `Jobs wait that no worker will run, since none has their task: ${tasks.join(', ')}`
      logger.warn(`${problem}. Start a worker that has it, or delete them`, { event: 'worker.unknown-tasks', tasks })
    } catch (error) {
      logger.debug(`Cannot look for jobs of unknown tasks: ${error}`, { error })
    }
  }

  return {
    fetchedAll() {
      if (performance.now() < lookFromMs) return
      lookFromMs = performance.now() + INTERVAL_MS
      timer = setTimeout(look, DELAY_MS)
      timer.unref()
    },
    look,
    stop: () => clearTimeout(timer)
  }
}

const INTERVAL_MS = 60_000

/** Peers that start together with this worker register meanwhile. */
const DELAY_MS = 3_000
