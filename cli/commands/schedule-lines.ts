import type { BackgroundClient } from '../../src/client.ts'
import type { JobOptions } from '../../src/schedule.ts'
import type { AnyTask } from '../../src/task.ts'
import type { CommandContext } from '../context.ts'
import { withBackground } from '../database.ts'
import { openSource, type Source } from '../input/file.ts'
import type { Arguments } from '../input/options.ts'
import { readPayloads } from '../input/payload.ts'
import { UsageError } from '../input/usage-error.ts'
import { LOG_LEVELS } from '../output/logger.ts'
import { delayed } from '../signals.ts'
import { createBar } from '../terminal/progress-bar.ts'
import { explainPayload } from './explain-payload.ts'

/** `kretes background schedule <task> --lines <file>`: schedules a job for each line of JSON Lines, all or none. */
export async function scheduleLines(
  task: AnyTask | string,
  { key, keyMode: _, ...options }: JobOptions,
  args: Arguments,
  context: CommandContext
): Promise<number> {
  const { output, stop, stopNow } = context
  const name = typeof task === 'string' ? task : task.name
  if (key !== undefined) throw new UsageError('Cannot read --key: it is for one job, and --lines schedules many')
  const source = openSource(args.text('lines') ?? '', stop)
  const level = args.choice('log-level', LOG_LEVELS) ?? 'info'
  const show = level === 'info' || level === 'debug' ? createBar(output) : () => {}
  let sent = 0

  async function send(background: BackgroundClient): Promise<number> {
    const payloads = readPayloads(name, source)
    const onProgress = (count: number): void => {
      sent = count
      show({ count, share: shareOf(source) })
    }
    return await background.scheduleMany({ ...options, task, payloads }, { returning: false, onProgress })
  }

  // The first signal ends the reading, and with it the transaction: waiting for that tells what has become of the jobs.
  const patient = { ...context, stop: AbortSignal.any([delayed(stop, PATIENCE_MS), stopNow]) }
  const isWaiting = (): boolean => sent === 0 && !source.isAwaited
  try {
    const count = await withBackground(args, patient, background => send(background).catch(explainPayload), isWaiting)
    output.status('')
    // The terminal shows both streams: the bar goes before the result comes.
    await output.flush()
    output.line(args.flag('json') ? JSON.stringify({ scheduled: count }) : describe(name, count))
    return 0
  } catch (error) {
    throw stop.aborted ? stop.reason : error
  }
}

function shareOf({ position, size }: Source): number | undefined {
  return size === undefined ? undefined : position / size
}

function describe(task: string, count: number): string {
  return `Scheduled ${count.toLocaleString('en')} ${count === 1 ? 'job' : 'jobs'} of ${task}`
}

/** How long the database gets to undo what was sent, before the process ends and the server does so by itself. */
const PATIENCE_MS = 2_000
