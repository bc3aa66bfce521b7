import type { ListedJob } from '../../src/job.ts'
import { JOB_STATES } from '../../src/rules/states.ts'
import { defineCommand } from '../command.ts'
import { withBackground } from '../database.ts'
import { filterOptions, pageOptions } from '../input/filter.ts'
import { databaseUrl, flag } from '../input/options.ts'
import { explainMisuse } from '../input/usage-error.ts'
import { errorCell, inShort, stateCell } from '../output/cells.ts'
import { printList } from '../output/list.ts'
import { relativeTime } from '../output/times.ts'
import type { Cell, Column } from '../terminal/table.ts'

/** `kretes background jobs`: lists jobs that are not done. */
export const jobs = defineCommand({
  usage: 'jobs',
  summary: 'List jobs that are not done',
  options: {
    ...filterOptions(JOB_STATES, 'id, key, task, error or payload'),
    ...pageOptions,
    json: flag('--json', 'Print the page as JSON'),
    databaseUrl
  },
  examples: program => [`  $ ${program} jobs --state failed --task SendEmail`],

  async run({ options }, context) {
    const { databaseUrl: _, json, ...query } = options
    const page = await withBackground(options, context, background => background.jobs(query).catch(explainMisuse))
    if (json) context.output.json(page)
    else printList(page, page.jobs, columnsAt(page.at), 'No jobs', context.output)
    return 0
  }
})

function columnsAt(now: Date): readonly Column<ListedJob>[] {
  return [
    { title: 'JOB', align: 'right', cell: job => job.id },
    { title: 'STATE', cell: job => stateCell(job.state) },
    { title: 'TASK', least: 12, cell: job => job.task },
    { title: 'QUEUE', least: 8, cell: job => job.queue ?? '' },
    { title: 'ATTEMPTS', align: 'right', cell: job => `${job.attempts}/${job.maxAttempts}` },
    { title: 'DUE', cell: job => describeDue(job, now) },
    { title: 'KEY', least: 6, cell: job => job.key ?? '' },
    { title: 'DETAILS', least: 8, cell: describe }
  ]
}

function describeDue({ state, runAt }: ListedJob, now: Date): string {
  return state === 'failed' || state === 'running' ? '' : relativeTime(runAt, now)
}

function describe({ state, error, progress, progressMessage, payload }: ListedJob): Cell {
  if (progress !== null)
    return `${Math.round(progress * 100)} %${progressMessage === null ? '' : ` ${progressMessage}`}`
  return error !== null && state !== 'running' ? errorCell(error) : inShort(JSON.stringify(payload))
}
