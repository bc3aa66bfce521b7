import type { Pause } from '../../../src/flow/pauses.ts'
import { defineCommand } from '../../command.ts'
import { withBackground } from '../../database.ts'
import { databaseUrl, flag } from '../../input/options.ts'
import { printList } from '../../output/list.ts'
import { plainTime } from '../../output/times.ts'
import type { Column } from '../../terminal/table.ts'

/** `kretes background pauses`: lists what is paused. */
export const pauses = defineCommand({
  usage: 'pauses',
  summary: 'List what is paused, by whom and why',
  options: { json: flag('--json', 'Print the list as JSON'), databaseUrl },

  async run({ options }, context) {
    const found = await withBackground(options, context, background => background.pauses())
    if (options.json) context.output.json(found)
    else printList({}, found, COLUMNS, 'Nothing is paused', context.output)
    return 0
  }
})

const COLUMNS: readonly Column<Pause>[] = [
  { title: 'PAUSED', cell: ({ kind }) => (kind === 'all' ? 'everything' : kind) },
  { title: 'NAME', least: 10, cell: ({ name }) => name ?? '' },
  { title: 'KEY', cell: ({ key }) => key ?? '' },
  { title: 'SINCE', cell: ({ since }) => plainTime(since) },
  { title: 'BY', least: 8, cell: ({ by }) => by },
  { title: 'REASON', least: 12, cell: ({ reason }) => reason ?? '' }
]
