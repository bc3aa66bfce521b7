import { type Command, defineCommand } from '../../command.ts'
import { withBackground } from '../../database.ts'
import { databaseUrl, flag } from '../../input/options.ts'
import { explainMisuse } from '../../input/usage-error.ts'
import { printEntry } from '../../output/recurring.ts'

const options = { json: flag('--json', 'Print the recurring job as JSON'), databaseUrl }

/** A command that changes one recurring job and prints it. */
export function change(
  verb: 'pause' | 'resume' | 'reset' | 'remove',
  summary: string,
  title: string
): Command<typeof options> {
  return defineCommand({
    usage: `${verb} <name>`,
    summary,
    options,
    examples: program => [`  $ ${program} ${verb} digest:42`],

    async run({ words: [name = ''], options }, context) {
      await withBackground(options, context, async background => {
        const job = await background.recurring[verb](name).catch(explainMisuse)
        await printEntry(job, title, options.json, background, context.output)
      })
      return 0
    }
  })
}
