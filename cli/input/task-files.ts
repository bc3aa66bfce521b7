import { BackgroundError } from '../../src/errors.ts'
import { discoverTasks } from '../../src/worker/discover.ts'
import type { Arguments } from './options.ts'
import { UsageError } from './usage-error.ts'

/**
 * Finds the task files, where `--tasks` says or in `tasks`.
 *
 * @throws {UsageError} if `--tasks` names no directory
 */
export async function findTaskFiles(args: Arguments): Promise<Awaited<ReturnType<typeof discoverTasks>>> {
  const given = args.text('tasks')
  try {
    return await discoverTasks(given ?? 'tasks')
  } catch (error) {
    if (given === undefined || !(error instanceof BackgroundError)) throw error
    throw new UsageError(error.message, { cause: error })
  }
}
