import { BackgroundError } from '../../src/errors.ts'
import { type AnyTask, definedNameOf, defineTask, isTaskName, notATaskName } from '../../src/task.ts'
import { discoverTasks } from '../../src/worker/discover.ts'
import { loadTask } from '../../src/worker/load.ts'
import type { CommandContext } from '../context.ts'
import { openForTasks, readDatabase, withBackground } from '../database.ts'
import { readJobOptions } from '../input/job-options.ts'
import type { Arguments } from '../input/options.ts'
import { readPayload } from '../input/payload.ts'
import { didYouMean, nearMatches, UsageError } from '../input/usage-error.ts'
import { describeJob } from '../output/job.ts'
import { createNoticeLogger } from '../terminal/notices.ts'
import { explainPayload } from './explain-payload.ts'
import { scheduleLines } from './schedule-lines.ts'
import { scheduleAndWait } from './schedule-wait.ts'

/** `kretes background schedule`: schedules one job and prints it, or many. */
export async function schedule(args: Arguments, context: CommandContext): Promise<number> {
  const { output, stop } = context
  const [name = '', word] = args.words
  const options = readJobOptions(args)
  const isMany = args.text('lines') !== undefined
  if (isMany && word !== undefined) throw new UsageError(`Cannot schedule ${name}: the payloads come from --lines`)
  const isWaiting = args.flag('wait')
  if (isMany && isWaiting) throw new UsageError('Cannot read --wait: it is for one job, and --lines schedules many')
  if (!isWaiting && args.text('timeout') !== undefined)
    throw new UsageError('Cannot read --timeout: there is no --wait')
  args.duration('timeout')
  const task = await findTask(name, args, context)
  if (isMany) return await scheduleLines(task, options, args, context)
  const payload = await readPayload(name, word, stop)
  const request = { ...options, task, payload }
  if (isWaiting) return await scheduleAndWait(request, args, context)
  const line = await withBackground(args, context, async background => {
    const job = await background.schedule(request).catch(explainPayload)
    return args.flag('json') ? JSON.stringify(job) : await describeJob(job, background, output.style)
  })
  output.line(line)
  return 0
}

/**
 * The task of a name, with its schema and its options. A typing error would otherwise be a job that nobody ever runs.
 * Forced, it is scheduled by its name, with the options that workers have registered.
 */
async function findTask(name: string, args: Arguments, context: CommandContext): Promise<AnyTask | string> {
  const directory = args.text('tasks') ?? 'tasks'
  if (args.flag('force') && isTaskName(name)) return name
  const names = await findNames(directory)
  const near = didYouMean(nearMatches(name, names ?? []))
  if (!isTaskName(name)) throw new UsageError(`Cannot schedule a task: ${notATaskName(name)}${near}`)
  if (names?.includes(name)) {
    // What it imports may look for the database.
    await openForTasks(readDatabase(args, context.env), context, createNoticeLogger(args, context.output))
  }
  const task = names && (await loadTask(directory, name))
  if (task) return definedNameOf(task) === undefined ? defineTask({ name, run: task }) : task
  const reason = names ? `no file in ${directory} has that name` : `there is no directory ${directory}`
  throw new UsageError(`Cannot schedule ${name}: ${reason}${near || '.'} Add --force to schedule it all the same`)
}

/** The names of the tasks in a directory; `undefined` if there is none. */
async function findNames(directory: string): Promise<string[] | undefined> {
  try {
    return (await discoverTasks(directory)).files.map(({ name }) => name)
  } catch (error) {
    if (error instanceof BackgroundError) return undefined
    throw error
  }
}
