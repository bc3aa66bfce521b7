import type { JobDetails } from '../../src/manage/jobs.ts'
import type { Run } from '../../src/run.ts'
import { counted } from '../../src/text/amounts.ts'
import type { Output } from '../context.ts'
import { fields } from '../terminal/fields.ts'
import { sanitize } from '../terminal/sanitize.ts'
import { type Column, table } from '../terminal/table.ts'
import { endCell, FORMATS, stateCell } from './cells.ts'
import { errorLines, frameLines } from './errors.ts'
import { type LogEntry, logLine, toEntries } from './task-log.ts'
import { exactTime, relativeTime, shortLength } from './times.ts'

/** Describes everything that is known about a job. */
export function describeDetails(job: JobDetails, output: Output): string {
  const { style } = output
  const { payload, runs, error, state } = job
  const sections = [fields(toRows(job, output), style)]
  if (payload !== null) sections.push(section('Payload', JSON.stringify(payload, null, 2), output))
  if (runs.length > 0) {
    sections.push([style('bold', 'Runs'), ...table(runs, columnsAt(job.at), output)].join('\n'))
  }
  if (runs.length >= MOST_RUNS) sections.push(style('dim', `Only the latest ${runs.length} runs are shown`))
  const [last] = runs
  if (last?.error) sections.push(section('Error', errorLines(last.error).join('\n'), output))
  else if (error !== null && !last) sections.push(section('Error', frameLines(error).join('\n'), output))
  if (last && last.result !== null) sections.push(section('Result', JSON.stringify(last.result, null, 2), output))
  const entries = toEntries(state === 'running' ? job.log : last?.log)
  if (entries.length > 0) sections.push([style('bold', 'Log'), ...logLines(job, entries, output)].join('\n'))
  return sections.join('\n\n')
}

function toRows(job: JobDetails, { style }: Output): [string, string][] {
  const { id, state, task, queue, key, priority, attempts, maxAttempts, isGone, worker } = job
  const rows: [string, string][] = [
    ['job', id],
    ['state', `${style(FORMATS[state], state)}${isGone && state !== 'gone' ? ', and gone' : ''}`],
    ['task', task],
    ['queue', queue === null ? 'none: it runs in parallel' : queue]
  ]
  if (key !== null) rows.push(['key', key])
  if (job.schedule !== null) rows.push(['recurring job', job.schedule])
  if (job.occurrence !== null) rows.push(['occurrence', exactTime(job.occurrence, job.at)])
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

/** The latest lines, below the number of the lines that are left out. */
function logLines({ id }: JobDetails, entries: readonly LogEntry[], { style }: Output): string[] {
  const shown = entries.slice(-MOST_LINES).map(entry => logLine(entry, style))
  const left = entries.length - shown.length
  if (left === 0) return shown
  return [style('dim', `${counted(left, 'earlier line')}: kretes background logs ${id}`), ...shown]
}

function section(title: string, text: string, { style }: Output): string {
  return `${style('bold', title)}\n${sanitize(text)}`
}

function columnsAt(now: Date): readonly Column<Run>[] {
  return [
    { title: 'ATTEMPT', align: 'right', cell: run => String(run.attempt) },
    { title: 'STATE', cell: run => stateCell(run.state) },
    { title: 'ENDED', cell: run => relativeTime(run.finishedAt, now) },
    { title: 'WAITED', align: 'right', cell: run => shortLength(run.waitedMs) },
    { title: 'TOOK', align: 'right', cell: run => shortLength(run.tookMs) },
    { title: 'WORKER', least: 8, cell: run => run.worker ?? '' },
    { title: 'DETAILS', least: 8, cell: endCell }
  ]
}

const MOST_LINES = 10
/** The library returns no more. */
const MOST_RUNS = 100
