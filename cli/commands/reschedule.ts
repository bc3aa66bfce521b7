import { toTarget } from '../../src/enqueue/change.ts'
import type { RescheduleOptions } from '../../src/schedule.ts'
import type { CommandContext } from '../context.ts'
import { withBackground } from '../database.ts'
import { readChanges } from '../input/job-options.ts'
import type { Arguments } from '../input/options.ts'
import { UsageError } from '../input/usage-error.ts'
import { describeJob } from '../output/job.ts'

/** `kretes background reschedule`: changes when and how a job that waits will run, and prints it. */
export async function reschedule(args: Arguments, context: CommandContext): Promise<number> {
  const { output } = context
  const [word = ''] = args.words
  const target = readTarget(word)
  const changes: RescheduleOptions = readChanges(args)
  if (Object.values(changes).every(value => value === undefined)) {
    throw new UsageError(
      `Cannot reschedule ${word}: nothing is to change. Give --delay, --run-at, --priority or --max-attempts`
    )
  }
  const line = await withBackground(args, context, async background => {
    const job = await background.reschedule(target, changes)
    return args.flag('json') ? JSON.stringify(job) : await describeJob(job, background, output.style, 'Rescheduled')
  })
  output.line(line)
  return 0
}

/** A word of digits is an id, any other a key, as for `cancel`. */
function readTarget(word: string): ReturnType<typeof toTarget> {
  try {
    return toTarget(word, 'reschedule')
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}
