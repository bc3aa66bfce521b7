import type { BackgroundClient } from '../../src/client.ts'
import { BackgroundError } from '../../src/errors.ts'
import type { ScheduledJob } from '../../src/job.ts'
import type { JobOptions } from '../../src/schedule.ts'
import type { AnyTask } from '../../src/task.ts'
import { counted } from '../../src/text/amounts.ts'
import { defineCommand, type Input } from '../command.ts'
import type { CommandContext } from '../context.ts'
import { withBackground } from '../database.ts'
import { findTask } from '../find-task.ts'
import { openSource, type Source } from '../input/file.ts'
import { jobOptions, readJobOptions } from '../input/job-options.ts'
import { databaseUrl, duration, flag, tasks, text } from '../input/options.ts'
import { type Payload, readPayload, readPayloads } from '../input/payload.ts'
import { explainPayload, UsageError } from '../input/usage-error.ts'
import { describeJob } from '../output/job.ts'
import { withGrace } from '../signals.ts'
import { createProgressBar } from '../terminal/progress-bar.ts'

const options = {
  ...jobOptions,
  lines: text('--lines <file>', 'Schedule a job for each line of JSON Lines, - for standard input: all or none'),
  wait: flag('--wait', 'Wait until the job has ended, and print its result'),
  timeout: duration('--timeout <duration>', 'How long to wait at most; the job continues (default: no limit)'),
  force: flag('--force', 'Schedule it by name only, even without a task file'),
  json: flag('--json', 'Print the job as JSON, or with --wait its result'),
  tasks,
  databaseUrl
}

type Options = Input<typeof options>['options']

/** `kretes background schedule`: schedules one job and prints it, or many. */
export const schedule = defineCommand({
  usage: 'schedule <task> [payload]',
  summary: 'Schedule a job; the payload is a JSON object, @file, or - for standard input',
  options,
  examples: program => [
    `  $ ${program} schedule SendEmail '{ "to": "admin@example.com" }' --queue email --delay 5m`,
    `  $ ${program} schedule SendEmail @payload.json --key welcome-7 --priority -1`,
    `  $ zcat users.jsonl.gz | ${program} schedule SendEmail --lines -`
  ],

  async run(input, context) {
    const { options } = input
    const [name = '', word] = input.words
    const job = readJobOptions(input)
    checkCombination(name, word, options)
    const task = await findTask(name, options, context)
    if (options.lines !== undefined) return await scheduleLines(task, options.lines, job, options, context)
    const request = { ...job, task, payload: await readPayload(name, word, context.stop) }
    return options.wait
      ? await scheduleAndWait(request, options, context)
      : await scheduleOne(request, options, context)
  }
})

interface Request extends JobOptions {
  readonly task: AnyTask | string
  readonly payload: Payload | undefined
}

function checkCombination(name: string, word: string | undefined, { lines, wait, timeout, key }: Options): void {
  if (lines !== undefined) {
    if (word !== undefined) throw new UsageError(`Cannot schedule ${name}: the payloads come from --lines`)
    if (wait) throw new UsageError('Cannot read --wait: it is for one job, and --lines schedules many')
    if (key !== undefined) throw new UsageError('Cannot read --key: it is for one job, and --lines schedules many')
  }
  if (!wait && timeout !== undefined) throw new UsageError('Cannot read --timeout: there is no --wait')
}

async function scheduleOne(request: Request, options: Options, context: CommandContext): Promise<number> {
  const { output } = context
  await withBackground(options, context, async background => {
    const job = await background.schedule(request).catch(explainPayload)
    if (options.json) output.json(job)
    else output.line(await describeJob(job, background, output.style))
  })
  return 0
}

async function scheduleAndWait(request: Request, options: Options, context: CommandContext): Promise<number> {
  const { output, stop } = context
  const { json, timeout } = options
  let job: ScheduledJob | undefined

  async function wait(background: BackgroundClient): Promise<unknown> {
    const scheduled = await background.schedule(request).catch(explainPayload)
    job = scheduled
    if (!json) output.line(await describeJob(scheduled, background, output.style))
    const timer = setTimeout(explain, EXPLAINED_AFTER_MS, background, scheduled)
    return await scheduled.result({ timeout, signal: stop }).finally(() => clearTimeout(timer))
  }

  /** Says so if the job waits for a worker that is not there. */
  async function explain(background: BackgroundClient, scheduled: ScheduledJob): Promise<void> {
    const { reasons } = await background.why(scheduled).catch(() => ({ reasons: [] }))
    const reason = reasons.find(({ code }) => code === 'no-worker' || code === 'unknown-task')
    if (reason && !stop.aborted) output.notice(reason.message)
  }

  try {
    // The first signal ends the waiting, and the connection is closed gracefully.
    const result = await withBackground(options, withGrace(context, GRACE_MS), wait, () => job === undefined)
    if (json) output.json(result ?? null)
    else output.line(result == null ? 'Succeeded' : `Succeeded\n${JSON.stringify(result, null, 2)}`)
    return 0
  } catch (error) {
    if (stop.aborted) {
      if (job) output.notice(`No longer waiting: job ${job.id} continues`)
      throw stop.reason
    }
    if (!(error instanceof BackgroundError) || error.code !== 'TIMEOUT') throw error
    throw new BackgroundError('TIMEOUT', `${error.message}. The job continues`, { cause: error })
  }
}

/** Schedules a job for each line of a file, all or none. */
async function scheduleLines(
  task: AnyTask | string,
  file: string,
  { key: _key, keyMode: _keyMode, ...job }: JobOptions,
  options: Options,
  context: CommandContext
): Promise<number> {
  const { output, stop } = context
  const name = typeof task === 'string' ? task : task.name
  const source = openSource(file, stop)
  const show = createProgressBar(context)
  let sent = 0

  async function send(background: BackgroundClient): Promise<number> {
    const payloads = readPayloads(name, source)
    const onProgress = (count: number): void => {
      sent = count
      show({ count, share: shareOf(source) })
    }
    const request = { ...job, task, payloads }
    return await background.scheduleMany(request, { returning: false, onProgress }).catch(explainPayload)
  }

  try {
    // The first signal ends the reading and with it the transaction. Its end shows whether the jobs were scheduled.
    const isWaiting = (): boolean => sent === 0 && !source.isAwaited
    const count = await withBackground(options, withGrace(context, GRACE_MS), send, isWaiting)
    output.status('')
    // A terminal shows both streams: the bar has to go before the result comes.
    await output.flush()
    if (options.json) output.json({ scheduled: count })
    else output.line(`Scheduled ${counted(count, 'job')} of ${name}`)
    return 0
  } catch (error) {
    throw stop.aborted ? stop.reason : error
  }
}

function shareOf({ position, size }: Source): number | undefined {
  return size === undefined ? undefined : position / size
}

/** Long enough for a worker that is starting. */
const EXPLAINED_AFTER_MS = 3_000

/** How long the connection may take to close gracefully after the first signal. */
const GRACE_MS = 2_000
