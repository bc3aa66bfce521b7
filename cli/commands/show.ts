import { BackgroundError } from '../../src/errors.ts'
import { defineCommand } from '../command.ts'
import { withBackground } from '../database.ts'
import { databaseUrl, flag } from '../input/options.ts'
import { explainMisuse } from '../input/usage-error.ts'
import { describeDetails } from '../output/job-details.ts'

/** `kretes background show`: shows everything about one job. */
export const show = defineCommand({
  usage: 'show <job>',
  summary: 'Show everything about one job, by id or key',
  options: { json: flag('--json', 'Print the job as JSON'), databaseUrl },
  examples: program => [`  $ ${program} show 42`],

  async run({ words: [word = ''], options }, context) {
    const job = await withBackground(options, context, background => background.job(word).catch(explainMisuse))
    if (!job)
      throw new BackgroundError('JOB_GONE', `Cannot show ${word}: there is no such job, and no run of it is kept`)
    if (options.json) context.output.json(job)
    else context.output.line(describeDetails(job, context.output))
    return 0
  }
})
