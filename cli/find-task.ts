import { BackgroundError } from '../src/errors.ts'
import { type AnyTask, definedNameOf, defineTask } from '../src/task.ts'
import { isTaskName, notATaskName } from '../src/text/task-name.ts'
import { discoverTasks } from '../src/worker/tasks/discover.ts'
import type { CommandContext } from './context.ts'
import { openForTasks, readDatabase } from './database.ts'
import { didYouMean, nearMatches, UsageError } from './input/usage-error.ts'

/** The options that a task is found by. */
interface TaskChoice {
  readonly tasks: string | undefined
  readonly force: boolean
  readonly databaseUrl: string | undefined
}

/**
 * Finds the task of a name, with its schema and its options: a typing error would make a job that no worker runs. With
 * `--force`, the name will do, and the job gets the options that workers have registered.
 */
export async function findTask(name: string, options: TaskChoice, context: CommandContext): Promise<AnyTask | string> {
  const directory = options.tasks ?? 'tasks'
  if (options.force && isTaskName(name)) return name
  const names = await findNames(directory)
  const near = didYouMean(nearMatches(name, names ?? []))
  if (!isTaskName(name)) throw new UsageError(`Cannot schedule a task: ${notATaskName(name)}${near}`)
  // The modules that the task file imports may look for the database.
  if (names?.includes(name)) await openForTasks(readDatabase(options, context.env), context, context.notices)
  const { loadTask } = await import('../src/worker/tasks/load.ts')
  const task = names && (await loadTask(directory, name))
  if (task) return definedNameOf(task) === undefined ? defineTask({ name, run: task }) : task
  const reason = names ? `no file in ${directory} has that name` : `there is no directory ${directory}`
  throw new UsageError(`Cannot schedule ${name}: ${reason}${near || '.'} Add --force to schedule it all the same`)
}

/** The names of the tasks in a directory; `undefined` if there is no such directory. */
async function findNames(directory: string): Promise<string[] | undefined> {
  try {
    return (await discoverTasks(directory)).files.map(({ name }) => name)
  } catch (error) {
    if (error instanceof BackgroundError) return undefined
    throw error
  }
}
