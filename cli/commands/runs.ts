import { isRealDay } from '../../src/check/values.ts'
import { toMilliseconds } from '../../src/duration.ts'
import { RUN_STATES } from '../../src/rules/states.ts'
import type { Run } from '../../src/run.ts'
import { defineCommand } from '../command.ts'
import { withBackground } from '../database.ts'
import { filterOptions, pageOptions } from '../input/filter.ts'
import { databaseUrl, flag, option, text } from '../input/options.ts'
import { explainMisuse, UsageError } from '../input/usage-error.ts'
import { endCell, stateCell } from '../output/cells.ts'
import { printList } from '../output/list.ts'
import { relativeTime, shortLength } from '../output/times.ts'
import type { Column } from '../terminal/table.ts'

/** `kretes background runs`: lists runs that have ended. */
export const runs = defineCommand({
  usage: 'runs',
  summary: 'List runs that have ended',
  options: {
    ...filterOptions(RUN_STATES, 'job id, key or error'),
    job: text('--job <id>', 'Only of this job'),
    since: option('--since <time>', 'Only if ended since this time, or within a duration such as 1h30m', toSince),
    ...pageOptions,
    json: flag('--json', 'Print the page as JSON'),
    databaseUrl
  },
  examples: program => [`  $ ${program} runs --state failed --since 1h`],

  async run({ options }, context) {
    const { databaseUrl: _, json, ...query } = options
    const page = await withBackground(options, context, background => background.runs(query).catch(explainMisuse))
    const noRuns = page.cursor ? 'No runs among the newest' : 'No runs'
    if (json) context.output.json(page)
    else printList(page, page.runs, columnsAt(page.at), noRuns, context.output)
    return 0
  }
})

function toSince(text: string, spelling: string): Date | string {
  const time = new Date(text)
  if (/^\d{4}-\d\d-\d\d/.test(text) && !Number.isNaN(time.getTime()) && isRealDay(text)) return time
  try {
    // The database reckons the time from its own clock.
    toMilliseconds(text, `read ${spelling}`, 'it')
    return text
  } catch {
    throw new UsageError(
      `Cannot read ${spelling}: ${JSON.stringify(text)} is neither a time such as 2030-01-31T08:00:00Z nor a duration such as 90s, 5m or 1h30m`
    )
  }
}

function columnsAt(now: Date): readonly Column<Run>[] {
  return [
    { title: 'JOB', align: 'right', cell: run => run.job },
    { title: 'STATE', cell: run => stateCell(run.state) },
    { title: 'TASK', least: 12, cell: run => run.task },
    { title: 'QUEUE', least: 8, cell: run => run.queue ?? '' },
    { title: 'ATTEMPT', align: 'right', cell: run => `${run.attempt}/${run.maxAttempts}` },
    { title: 'ENDED', cell: run => relativeTime(run.finishedAt, now) },
    { title: 'TOOK', align: 'right', cell: run => shortLength(run.tookMs) },
    { title: 'DETAILS', least: 8, cell: endCell }
  ]
}
