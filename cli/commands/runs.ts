import { toMilliseconds } from '../../src/duration.ts'
import type { Run, RunFilter } from '../../src/inspect.ts'
import { isRealDay } from '../../src/instant.ts'
import { RUN_STATES } from '../../src/sql/ledger/schema.ts'
import type { CommandContext } from '../context.ts'
import { withBackground } from '../database.ts'
import { explainMisuse, readFilter, readPage } from '../input/filter.ts'
import type { Arguments } from '../input/options.ts'
import { UsageError } from '../input/usage-error.ts'
import { errorCell, inShort } from '../output/errors.ts'
import { printPage } from '../output/list.ts'
import { describeMs } from '../output/logger.ts'
import { stateCell } from '../output/states.ts'
import { relativeTime } from '../output/times.ts'
import type { Cell, Column } from '../terminal/table.ts'

/** `kretes background runs`: lists attempts that have ended. */
export async function listRuns(args: Arguments, context: CommandContext): Promise<number> {
  const { output } = context
  const job = args.text('job')
  const options = {
    ...readFilter(args, RUN_STATES),
    ...readPage(args),
    ...(job !== undefined && { job }),
    ...readSince(args)
  }
  const page = await withBackground(args, context, background => background.runs(options).catch(explainMisuse))
  const rows = page.runs.map(run => toRow(run, page.at))
  printPage(page, { columns: COLUMNS, rows, none: page.cursor ? 'No runs among the newest' : 'No runs' }, args, output)
  return 0
}

function readSince(args: Arguments): Pick<RunFilter, 'since'> {
  const text = args.text('since')
  if (text === undefined) return {}
  const time = new Date(text)
  if (/^\d{4}-\d\d-\d\d/.test(text) && !Number.isNaN(time.getTime()) && isRealDay(text)) return { since: time }
  try {
    toMilliseconds(text, 'read --since', 'it')
  } catch {
    throw new UsageError(
      `Cannot read --since: ${JSON.stringify(text)} is neither a time such as 2030-01-31T08:00:00Z nor a duration such as 90s, 5m or 1h30m`
    )
  }
  return { since: text }
}

const COLUMNS: readonly Column[] = [
  { title: 'JOB', align: 'right' },
  { title: 'STATE' },
  { title: 'TASK', least: 12 },
  { title: 'QUEUE', least: 8 },
  { title: 'ATTEMPT', align: 'right' },
  { title: 'ENDED' },
  { title: 'TOOK', align: 'right' },
  { title: 'DETAILS', least: 8 }
]

function toRow(run: Run, now: Date): Cell[] {
  const { job, state, task, queue, attempt, maxAttempts, finishedAt, tookMs } = run
  return [
    job,
    stateCell(state),
    task,
    queue ?? '',
    `${attempt}/${maxAttempts}`,
    relativeTime(finishedAt, now),
    tookMs === null ? '' : describeMs(tookMs),
    describeEnd(run)
  ]
}

/** What a run has left: its error, or its result. */
export function describeEnd({ error, result }: Pick<Run, 'error' | 'result'>): Cell {
  if (error) return errorCell(error)
  return result === null ? '' : inShort(JSON.stringify(result))
}
