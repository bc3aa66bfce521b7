import { BackgroundError } from '../../src/errors.ts'
import { discoverTasks } from '../../src/worker/tasks/discover.ts'
import { UsageError } from './usage-error.ts'

/**
 * Finds the task files in a directory, by default `tasks`.
 *
 * @throws {UsageError} if the directory that was given does not exist
 */
export async function findTaskFiles(directory: string | undefined): ReturnType<typeof discoverTasks> {
  try {
    return await discoverTasks(directory ?? 'tasks')
  } catch (error) {
    if (directory === undefined || !(error instanceof BackgroundError)) throw error
    throw new UsageError(error.message, { cause: error })
  }
}
