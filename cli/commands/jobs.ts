import type { ListedJob } from '../../src/inspect.ts'
import { JOB_STATES } from '../../src/ledger/filter.ts'
import type { CommandContext } from '../context.ts'
import { withBackground } from '../database.ts'
import { explainMisuse, readFilter, readPage } from '../input/filter.ts'
import type { Arguments } from '../input/options.ts'
import { errorCell, inShort } from '../output/errors.ts'
import { printPage } from '../output/list.ts'
import { stateCell } from '../output/states.ts'
import { relativeTime } from '../output/times.ts'
import type { Cell, Column } from '../terminal/table.ts'

/** `kretes background jobs`: lists jobs that are not done. */
export async function listJobs(args: Arguments, context: CommandContext): Promise<number> {
  const { output } = context
  const options = { ...readFilter(args, JOB_STATES), ...readPage(args) }
  const page = await withBackground(args, context, background => background.jobs(options).catch(explainMisuse))
  const rows = page.jobs.map(job => toRow(job, page.at))
  printPage(page, { columns: COLUMNS, rows, none: 'No jobs' }, args, output)
  return 0
}

const COLUMNS: readonly Column[] = [
  { title: 'JOB', align: 'right' },
  { title: 'STATE' },
  { title: 'TASK', least: 12 },
  { title: 'QUEUE', least: 8 },
  { title: 'ATTEMPTS', align: 'right' },
  { title: 'DUE' },
  { title: 'KEY', least: 6 },
  { title: 'DETAILS', least: 8 }
]

function toRow(job: ListedJob, now: Date): Cell[] {
  const { id, state, task, queue, key, attempts, maxAttempts, runAt } = job
  return [
    id,
    stateCell(state),
    task,
    queue ?? '',
    `${attempts}/${maxAttempts}`,
    state === 'failed' || state === 'running' ? '' : relativeTime(runAt, now),
    key ?? '',
    describe(job)
  ]
}

function describe({ state, error, progress, progressMessage, payload }: ListedJob): Cell {
  if (progress !== null)
    return `${Math.round(progress * 100)} %${progressMessage === null ? '' : ` ${progressMessage}`}`
  return error !== null && state !== 'running' ? errorCell(error) : inShort(JSON.stringify(payload))
}
