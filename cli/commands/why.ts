import type { Why } from '../../src/diagnose/why.ts'
import { defineCommand } from '../command.ts'
import type { Output } from '../context.ts'
import { withBackground } from '../database.ts'
import { databaseUrl, flag } from '../input/options.ts'
import { explainMisuse } from '../input/usage-error.ts'
import { fields } from '../terminal/fields.ts'
import { oneLine } from '../terminal/sanitize.ts'

/** `kretes background why`: shows why a job is not running. */
export const why = defineCommand({
  usage: 'why <job>',
  summary: 'Show why a job is not running, by id or key, or about a recurring job, by name',
  options: { json: flag('--json', 'Print the reasons as JSON'), databaseUrl },
  examples: program => [`  $ ${program} why 42`],

  async run({ words: [job = ''], options }, context) {
    const found = await withBackground(options, context, background => background.why(job).catch(explainMisuse))
    if (options.json) context.output.json(found)
    else context.output.line(describe(found, context.output))
    return found.job || found.reasons[0]?.code === 'ended' ? 0 : 1
  }
})

function describe({ job, reasons }: Why, { style, width }: Output): string {
  const title = job ? `${style('bold', oneLine(`${job.task} ${job.id}`))} is ${job.state}\n` : ''
  const rows = reasons.map(({ code, message }) => [code, message] as const)
  return `${title}${fields(rows, style, { indent: job ? '  ' : '', width })}`
}
