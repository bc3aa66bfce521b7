import { nameOf, type Pause } from '../../../src/flow/pauses.ts'
import { defineCommand } from '../../command.ts'
import { withBackground } from '../../database.ts'
import { databaseUrl, flag, text } from '../../input/options.ts'
import { explainMisuse } from '../../input/usage-error.ts'
import { pauseFields } from '../../output/pauses.ts'
import { oneLine } from '../../terminal/sanitize.ts'
import { readTarget, targetOptions, whoAmI } from './target.ts'

/** `kretes background pause`: pauses a task, a queue, a limit, a key or everything. */
export const pause = defineCommand({
  usage: 'pause',
  summary: 'Pause a task, a queue, a limit or everything: jobs wait until resume',
  options: {
    ...targetOptions,
    reason: text('--reason <text>', 'Why, for those who wonder later'),
    by: text('--by <name>', 'Who pauses (default: you)'),
    json: flag('--json', 'Print the pause as JSON'),
    databaseUrl
  },
  examples: program => [
    `  $ ${program} pause --queue email --reason "The mail server is down"`,
    `  $ ${program} pause --task SyncOrders --key shop-7`,
    `  $ ${program} pause --all`
  ],

  async run({ options }, context) {
    const { reason, by = whoAmI(), json } = options
    const target = readTarget(options, 'pause')
    const paused = await withBackground(options, context, background =>
      background.pause({ ...target, reason, by }).catch(explainMisuse)
    )
    const { output } = context
    if (json) output.json(paused)
    else output.line(`Paused ${oneLine(nameOf(paused))}\n${pauseFields(paused, output)}`)
    if (!paused.isKnown) {
      output.notice(`There has never been ${UNKNOWN[paused.kind]}. Is the name right?`)
    }
    return 0
  }
})

const UNKNOWN: Readonly<Record<Pause['kind'], string>> = {
  all: 'anything',
  task: 'a worker or a job of this task',
  queue: 'a job of this queue',
  limit: 'a worker with this limit'
}
