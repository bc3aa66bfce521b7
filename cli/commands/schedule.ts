import { BackgroundError } from '../../src/errors.ts'
import { isTaskName, notATaskName } from '../../src/task.ts'
import { discoverTasks } from '../../src/worker/discover.ts'
import type { CommandContext } from '../context.ts'
import { withBackground } from '../databases.ts'
import { describeJob } from '../describe-job.ts'
import { readJobOptions } from '../job-options.ts'
import type { Arguments } from '../options.ts'
import { readPayload } from '../payload.ts'
import { didYouMean, nearMatches, UsageError } from '../usage.ts'
import { scheduleLines } from './schedule-lines.ts'
import { scheduleAndWait } from './schedule-wait.ts'

/** `kretes background schedule`: schedules one job and prints it, or many. */
export async function schedule(args: Arguments, context: CommandContext): Promise<number> {
  const { output, stop } = context
  const [task = '', word] = args.words
  const options = readJobOptions(args)
  const isMany = args.text('lines') !== undefined
  if (isMany && word !== undefined) throw new UsageError(`Cannot schedule ${task}: the payloads come from --lines`)
  const isWaiting = args.flag('wait')
  if (isMany && isWaiting) throw new UsageError('Cannot read --wait: it is for one job, and --lines schedules many')
  if (!isWaiting && args.text('timeout') !== undefined)
    throw new UsageError('Cannot read --timeout: there is no --wait')
  args.duration('timeout')
  await refuseUnknownTask(task, args.text('tasks') ?? 'tasks', args.flag('force'))
  if (isMany) return await scheduleLines(task, options, args, context)
  const payload = await readPayload(task, word, stop)
  if (isWaiting) return await scheduleAndWait({ ...options, task, payload }, args, context)
  const job = await withBackground(args, context, background => background.schedule({ ...options, task, payload }))
  output.line(args.flag('json') ? JSON.stringify(job) : describeJob(job, options, output.style))
  return 0
}

/** A typing error would otherwise be a job that nobody ever runs. */
async function refuseUnknownTask(task: string, directory: string, isForced: boolean): Promise<void> {
  if (isForced && isTaskName(task)) return
  const names = await findNames(directory)
  if (names?.includes(task)) return
  const near = didYouMean(nearMatches(task, names ?? []))
  if (!isTaskName(task)) throw new UsageError(`Cannot schedule a task: ${notATaskName(task)}${near}`)
  const reason = names ? `no file in ${directory} has that name` : `there is no directory ${directory}`
  throw new UsageError(`Cannot schedule ${task}: ${reason}${near || '.'} Add --force to schedule it all the same`)
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
