import type { BackgroundClient } from '../../src/client.ts'
import { BackgroundError } from '../../src/errors.ts'
import type { ScheduledJob } from '../../src/job.ts'
import type { JobOptions } from '../../src/schedule.ts'
import type { AnyTask } from '../../src/task.ts'
import type { CommandContext } from '../context.ts'
import { withBackground } from '../database.ts'
import type { Arguments } from '../input/options.ts'
import type { Payload } from '../input/payload.ts'
import { describeJob } from '../output/job.ts'
import { delayed } from '../signals.ts'
import { explainPayload } from './explain-payload.ts'

/** `kretes background schedule <task> --wait`: schedules a job, waits until it has ended and prints its result. */
export async function scheduleAndWait(
  request: JobOptions & { readonly task: AnyTask | string; readonly payload: Payload | undefined },
  args: Arguments,
  context: CommandContext
): Promise<number> {
  const { output, stop, stopNow } = context
  const isJson = args.flag('json')
  const timeout = args.duration('timeout')
  let job: ScheduledJob | undefined

  async function wait(background: BackgroundClient): Promise<unknown> {
    const scheduled = await background.schedule(request).catch(explainPayload)
    job = scheduled
    if (!isJson) output.line(await describeJob(scheduled, background, output.style))
    return await scheduled.result({ timeout, signal: stop })
  }

  // The first signal ends the waiting; the connection is closed in order.
  const patient = { ...context, stop: AbortSignal.any([delayed(stop, PATIENCE_MS), stopNow]) }
  try {
    const result = await withBackground(args, patient, wait, () => job === undefined)
    if (isJson) output.line(JSON.stringify(result ?? null))
    else output.line(result == null ? 'Succeeded' : `Succeeded\n${JSON.stringify(result, null, 2)}`)
    return 0
  } catch (error) {
    if (stop.aborted) {
      if (job) output.notice(`No longer waiting: job ${job.id} goes on`)
      throw stop.reason
    }
    if (!(error instanceof BackgroundError) || error.code !== 'TIMEOUT') throw error
    throw new BackgroundError('TIMEOUT', `${error.message}. The job goes on`, { cause: error })
  }
}

const PATIENCE_MS = 2_000
