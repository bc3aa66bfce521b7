import type { Occurrence } from '../../../src/cron/preview.ts'
import type { RecurringJob } from '../../../src/recurring/entry.ts'
import { defineCommand } from '../../command.ts'
import { withBackground } from '../../database.ts'
import { databaseUrl, flag, wholeNumber } from '../../input/options.ts'
import { explainMisuse } from '../../input/usage-error.ts'
import { printList } from '../../output/list.ts'
import { oneLine } from '../../terminal/sanitize.ts'
import type { Column } from '../../terminal/table.ts'
import { requireEntry } from './require.ts'

/** `kretes background cron preview`: shows the next occurrences of a recurring job. */
export const preview = defineCommand({
  usage: 'preview <name>',
  summary: 'Show the next occurrences, and the days on which the clocks change',
  options: {
    count: wholeNumber('-n, --count <number>', 'How many to show, up to 1000 (default: 10)', [1, 1_000]),
    json: flag('--json', 'Print the occurrences as JSON'),
    databaseUrl
  },
  examples: program => [`  $ ${program} preview digest:42 -n 5`],

  async run({ words: [name = ''], options }, context) {
    const { output } = context
    await withBackground(options, context, async background => {
      const job = await requireEntry(background, 'preview', name).catch(explainMisuse)
      const found = await background.recurring.preview(name, options.count ?? 10)
      if (options.json) return output.json(found)
      if (job.isPaused) output.notice('It is paused. These would be its occurrences if it were resumed now')
      printList({}, found, occurrenceColumns(job), 'No more occurrences', output)
    })
    return 0
  }
})

/** The columns for occurrences: the time in UTC, and in the zone of the recurring job. */
export function occurrenceColumns({ timeZone, cron }: RecurringJob): readonly Column<Occurrence>[] {
  const utc: Column<Occurrence> = { title: 'UTC', cell: ({ at }) => at.toISOString().replace('.000Z', 'Z') }
  if (cron === null || timeZone === 'UTC') return [utc]
  return [
    { title: oneLine(timeZone), cell: ({ local }) => local },
    utc,
    {
      title: 'CLOCKS',
      cell: ({ clockChange }) => (clockChange ? { text: `clocks go ${clockChange}`, format: 'yellow' } : '')
    }
  ]
}
