import { toTarget } from '../../src/reference.ts'
import { defineCommand } from '../command.ts'
import { withBackground } from '../database.ts'
import { changeOptions, readChanges } from '../input/job-options.ts'
import { databaseUrl, flag } from '../input/options.ts'
import { UsageError } from '../input/usage-error.ts'
import { describeJob } from '../output/job.ts'

/** `kretes background reschedule`: changes when and how a waiting job runs, and prints the job. */
export const reschedule = defineCommand({
  usage: 'reschedule <job>',
  summary: 'Change when and how a waiting job runs, by id or key',
  options: { ...changeOptions, json: flag('--json', 'Print the job as JSON'), databaseUrl },
  examples: program => [
    `  $ ${program} reschedule 42 --delay 0s`,
    `  $ ${program} reschedule welcome-7 --run-at 2030-01-31T08:00:00Z`
  ],

  async run(input, context) {
    const { output } = context
    const { words, options } = input
    const [word = ''] = words
    const target = readTarget(word)
    const changes = readChanges(input)
    if (Object.values(changes).every(value => value === undefined)) {
      throw new UsageError(
        `Cannot reschedule ${word}: nothing is to change. Give --delay, --run-at, --priority or --max-attempts`
      )
    }
    await withBackground(options, context, async background => {
      const job = await background.reschedule(target, changes)
      if (options.json) output.json(job)
      else output.line(await describeJob(job, background, output.style, 'Rescheduled'))
    })
    return 0
  }
})

/** An argument made of digits is an id; anything else is a key. */
function readTarget(word: string): ReturnType<typeof toTarget> {
  try {
    return toTarget(word, 'reschedule')
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}
