import { defineCommand } from '../../command.ts'
import { withBackground } from '../../database.ts'
import { databaseUrl, flag } from '../../input/options.ts'
import { explainMisuse } from '../../input/usage-error.ts'
import { describeJob } from '../../output/job.ts'
import { describeNext, readClock } from '../../output/recurring.ts'

/** `kretes background cron run`: schedules a job of a recurring job now. */
export const run = defineCommand({
  usage: 'run <name>',
  summary: 'Schedule one of its jobs now; its next occurrence stays',
  options: { json: flag('--json', 'Print the job as JSON'), databaseUrl },
  examples: program => [`  $ ${program} run digest:42`],

  async run({ words: [name = ''], options }, context) {
    const { output } = context
    await withBackground(options, context, async background => {
      const job = await background.recurring.runNow(name).catch(explainMisuse)
      if (options.json) return output.json(job)
      output.line(await describeJob(job, background, output.style))
      const entry = await background.recurring.get(name)
      if (entry) output.line(`Next occurrence: ${describeNext(entry, await readClock(background))}`)
    })
    return 0
  }
})
