import { nameOf, type Pause, type PauseTarget } from '../../../src/flow/pauses.ts'
import { counted } from '../../../src/text/amounts.ts'
import { defineCommand } from '../../command.ts'
import { withBackground } from '../../database.ts'
import { databaseUrl, flag } from '../../input/options.ts'
import { explainMisuse } from '../../input/usage-error.ts'
import { pauseFields } from '../../output/pauses.ts'
import { oneLine } from '../../terminal/sanitize.ts'
import { readTarget, targetOptions } from './target.ts'

/** `kretes background resume`: ends a pause. */
export const resume = defineCommand({
  usage: 'resume',
  summary: 'End a pause: workers take its jobs at once',
  options: { ...targetOptions, json: flag('--json', 'Print the pause that ended as JSON, or null'), databaseUrl },
  examples: program => [`  $ ${program} resume --queue email`],

  async run({ options }, context) {
    const target = readTarget(options, 'resume')
    const { ended, others } = await withBackground(options, context, async background => ({
      ended: await background.resume(target).catch(explainMisuse),
      others: await background.pauses()
    }))
    const { output } = context
    if (options.json) output.json(ended ?? null)
    else if (ended) output.line(`Resumed ${oneLine(nameOf(ended))}\n${pauseFields(ended, output)}`)
    else output.line(`Nothing to resume: ${oneLine(describe(target))} is not paused`)
    if (others.length > 0 && !options.json) {
      output.notice(
        `${counted(others.length, 'other pause')} ${others.length === 1 ? 'stays' : 'stay'}. See: kretes background pauses`
      )
    }
    return 0
  }
})

function describe({ key, ...target }: PauseTarget): string {
  const [kind, name] = Object.entries(target)[0]!
  return nameOf({ kind: kind as Pause['kind'], name: String(name), key: key === undefined ? null : String(key) })
}
