import type { RecurringJob } from '../../../src/recurring/entry.ts'
import { defineCommand } from '../../command.ts'
import { withBackground } from '../../database.ts'
import { pageOptions } from '../../input/filter.ts'
import { databaseUrl, flag, text } from '../../input/options.ts'
import { explainMisuse } from '../../input/usage-error.ts'
import { printList } from '../../output/list.ts'
import { loadWording, type Wording } from '../../output/recurrence.ts'
import { relativeTime } from '../../output/times.ts'
import type { Cell, Column } from '../../terminal/table.ts'

/** `kretes background cron list`: lists recurring jobs. */
export const list = defineCommand({
  usage: 'list',
  summary: 'List recurring jobs',
  options: {
    task: text('--task <name>', 'Only of this task'),
    search: text('--search <text>', 'Only with this text in their name'),
    ...pageOptions,
    json: flag('--json', 'Print the page as JSON'),
    databaseUrl
  },
  examples: program => [`  $ ${program} list --task SendDigest`],

  async run({ options }, context) {
    const { databaseUrl: _, json, ...query } = options
    const page = await withBackground(options, context, background =>
      background.recurring.list(query).catch(explainMisuse)
    )
    if (json) context.output.json(page)
    else printList(page, page.entries, columnsAt(page.at, await loadWording()), 'No recurring jobs', context.output)
    return 0
  }
})

/** The same as `list`, for `kretes background cron` alone. */
export const listAlone = defineCommand({ ...list, usage: '' })

function columnsAt(now: Date, inWords: Wording): readonly Column<RecurringJob>[] {
  return [
    { title: 'NAME', least: 10, cell: job => job.name },
    { title: 'TASK', least: 8, cell: job => job.task },
    { title: 'WHEN', least: 12, cell: inWords },
    { title: 'LAST', rank: 1, cell: job => (job.lastAt ? relativeTime(job.lastAt, now) : '') },
    { title: 'NEXT', cell: job => (job.nextAt ? relativeTime(job.nextAt, now) : '') },
    { title: 'STATE', cell: toState }
  ]
}

/** A state that needs attention; nothing if it recurs as planned. */
function toState({ isPaused, nextAt, skippedAt, lastAt, skipReason, missed }: RecurringJob): Cell {
  if (isPaused) return { text: 'paused', format: 'yellow' }
  if (!nextAt) return { text: 'ended', format: 'dim' }
  if (!skippedAt || (lastAt && lastAt >= skippedAt)) return ''
  // It has made up for them.
  if (skipReason === 'missed' && missed !== 'skip') return ''
  return { text: skipReason === 'overlap' ? 'skipped: overlap' : 'skipped: missed', format: 'yellow' }
}
