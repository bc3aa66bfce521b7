import { BackgroundError } from '../../src/errors.ts'
import type { JobDetails, Run } from '../../src/inspect.ts'
import type { CommandContext, Output, Style } from '../context.ts'
import { withBackground } from '../database.ts'
import { explainMisuse } from '../input/filter.ts'
import type { Arguments } from '../input/options.ts'
import { errorLines, frameLines } from '../output/errors.ts'
import { describeMs } from '../output/logger.ts'
import { FORMATS, stateCell } from '../output/states.ts'
import { type LogEntry, logLine, toEntries } from '../output/task-log.ts'
import { exactTime, relativeTime } from '../output/times.ts'
import { harmless } from '../terminal/sanitize.ts'
import { pairs } from '../terminal/streams.ts'
import { type Cell, type Column, table } from '../terminal/table.ts'
import { describeEnd } from './runs.ts'

/** `kretes background show`: everything about one job. */
export async function showJob(args: Arguments, context: CommandContext): Promise<number> {
  const { output } = context
  const [word = ''] = args.words
  const job = await withBackground(args, context, background => background.job(word).catch(explainMisuse))
  if (!job) throw new BackgroundError('JOB_GONE', `Cannot show ${word}: there is no such job, and no run of it is kept`)
  output.line(args.flag('json') ? JSON.stringify(job) : describe(job, output))
  return 0
}

function describe(job: JobDetails, output: Output): string {
  const { style } = output
  const { payload, runs, error, state } = job
  const sections = [pairs(toRows(job, output), style)]
  if (payload !== null) sections.push(section('Payload', JSON.stringify(payload, null, 2), output))
  if (runs.length > 0)
    sections.push(
      `${style('bold', 'Runs')}\n${table(
        COLUMNS,
        runs.map(run => toCells(run, job.at)),
        output
      )}`
    )
  if (runs.length >= MOST_RUNS) sections.push(style('dim', `Only the latest ${runs.length} runs are shown`))
  const [last] = runs
  if (last?.error) sections.push(section('Error', errorLines(last.error).join('\n'), output))
  else if (error !== null && !last) sections.push(section('Error', frameLines(error).join('\n'), output))
  if (last && last.result !== null) sections.push(section('Result', JSON.stringify(last.result, null, 2), output))
  const entries = toEntries(state === 'running' ? job.log : last?.log)
  if (entries.length > 0) sections.push(`${style('bold', 'Log')}\n${logLines(job, entries, style).join('\n')}`)
  return sections.join('\n\n')
}

function toRows(job: JobDetails, { style }: Output): [string, string][] {
  const { id, state, task, queue, key, priority, attempts, maxAttempts, isGone, worker } = job
  const rows: [string, string][] = [
    ['job', id],
    ['state', `${style(FORMATS[state], state)}${isGone ? ', and gone' : ''}`],
    ['task', task],
    ['queue', queue === null ? 'none: it runs in parallel' : queue]
  ]
  if (key !== null) rows.push(['key', key])
  if (priority !== 0) rows.push(['priority', String(priority)])
  rows.push(['attempts', `${attempts} of ${maxAttempts}`], ['scheduled', exactTime(job.scheduledAt, job.at)])
  if (!isGone && state !== 'failed') rows.push(['due', exactTime(job.runAt, job.at)])
  if (isGone) rows.push(['ended', exactTime(job.updatedAt, job.at)])
  if (!isGone && job.fetchedAt) rows.push(['fetched', exactTime(job.fetchedAt, job.at)])
  if (worker !== null) rows.push(['worker', worker])
  if (job.progress !== null) {
    rows.push(['progress', `${Math.round(job.progress * 100)} % ${job.progressMessage ?? ''}`])
  }
  return rows
}

/** The newest lines, below a line that says how many are left out. */
function logLines({ id }: JobDetails, entries: readonly LogEntry[], style: Style): string[] {
  const shown = entries.slice(-MOST_LINES).map(entry => logLine(entry, style))
  const left = entries.length - shown.length
  if (left === 0) return shown
  return [style('dim', `${left} earlier ${left === 1 ? 'line' : 'lines'}: kretes background logs ${id}`), ...shown]
}

function section(title: string, text: string, { style }: Output): string {
  return `${style('bold', title)}\n${harmless(text)}`
}

const COLUMNS: readonly Column[] = [
  { title: 'ATTEMPT', align: 'right' },
  { title: 'STATE' },
  { title: 'ENDED' },
  { title: 'WAITED', align: 'right' },
  { title: 'TOOK', align: 'right' },
  { title: 'WORKER', least: 8 },
  { title: 'DETAILS', least: 8 }
]

function toCells(run: Run, now: Date): Cell[] {
  const { attempt, state, finishedAt, waitedMs, tookMs, worker } = run
  return [
    String(attempt),
    stateCell(state),
    relativeTime(finishedAt, now),
    waitedMs === null ? '' : describeMs(waitedMs),
    tookMs === null ? '' : describeMs(tookMs),
    worker ?? '',
    describeEnd(run)
  ]
}

const MOST_LINES = 10
/** As many as the library gives. */
const MOST_RUNS = 100
