import type { Figures, QueueStatus, Status, TaskStatus, WorkerStatus } from '../../src/diagnose/status.ts'
import type { LimitState } from '../../src/flow/limits.ts'
import type { Pause } from '../../src/flow/pauses.ts'
import { MOST_COUNTED } from '../../src/sql/recurring/monitor.ts'
import { counted } from '../../src/text/amounts.ts'
import type { Format, Style } from '../context.ts'
import { oneLine } from '../terminal/sanitize.ts'
import { type Column, table } from '../terminal/table.ts'
import { cut } from '../terminal/width.ts'
import { relativeTime, shortLength } from './times.ts'

/** The room that a screen may take. */
export interface Room {
  readonly style: Style
  readonly width: number
  /** How many lines at most; without it, as many as needed. */
  readonly height?: number
}

/** Tasks, queues and workers on one screen. */
export function statusScreen(status: Status, { style, width, height = Number.POSITIVE_INFINITY }: Room): string[] {
  const { tasks, queues, moreQueues, limits, workers } = status
  const room = { style, width }
  const sections = [
    section('task', tasks, taskColumns, 0, room),
    section('queue', queues, queueColumns, moreQueues, room),
    section(
      'limit',
      limits.filter(({ used, waiting }) => used + waiting > 0),
      limitColumns,
      0,
      room
    ),
    section('worker', workers, workerColumnsAt(status.at), 0, room)
  ].filter(({ rows }) => rows.length > 0)
  const title = titleOf(status, Math.min(width, MOST_TITLE), style)
  // Each section takes a blank line and its heading.
  const lines = share(
    sections.map(({ rows, more }) => rows.length + (more > 0 ? 1 : 0)),
    height - title.length - 2 * sections.length
  )
  const body = sections.flatMap(({ noun, heading, rows, more }, index) => {
    const isWhole = rows.length + (more > 0 ? 1 : 0) <= lines[index]!
    const shown = isWhole ? rows : rows.slice(0, Math.max(0, lines[index]! - 1))
    const left = rows.length - shown.length + more
    const rest = left > 0 ? [style('dim', cut(`and ${counted(left, `more ${noun}`)}`, width))] : []
    return ['', heading, ...shown, ...rest]
  })
  if (workers.length === 0)
    body.push('', style('yellow', cut('No worker is running. Start one: kretes background', width)))
  return [...title, ...body].slice(0, height)
}

function section<Row>(
  noun: string,
  items: readonly Row[],
  columns: readonly Column<Row>[],
  more: number,
  { style, width }: Room
): { noun: string; heading: string; rows: string[]; more: number } {
  const [heading = '', ...rows] = table(items, columns, { style, columns: width })
  return { noun, heading, rows, more }
}

function titleOf({ totals, workers, recurring, pauses, at, since }: Status, width: number, style: Style): string[] {
  const alive = workers.filter(({ isAlive }) => isAlive)
  const running = alive.reduce((sum, worker) => sum + worker.running, 0)
  const slots = alive.reduce((sum, worker) => sum + worker.concurrency, 0)
  const oldest = totals.oldestWaitingMs === null ? '' : ` (oldest ${shortLength(totals.oldestWaitingMs)})`
  const now = [
    `${number(totals.waiting)} waiting${oldest}`,
    `${number(totals.running)} running`,
    `${number(totals.scheduled)} scheduled`,
    `${number(totals.retrying)} retrying`,
    `${number(totals.failed)} failed`,
    `${counted(alive.length, 'worker')} (${running} of ${slots} busy)`
  ]
  const past = [
    `last ${shortLength(at.getTime() - since.getTime())}: ${number(totals.succeeded)} succeeded`,
    `${number(totals.failures)} failed`,
    `${number(rate(totals))}/min`,
    ...(totals.p50Ms === null ? [] : [`p50 ${shortLength(totals.p50Ms)}, p99 ${shortLength(totals.p99Ms)}`])
  ]
  const lines = [...fold(past, width), ...fold(describeRecurring(recurring, at), width)]
  return [
    ...fold(now, width).map(line => style('bold', line)),
    ...lines.map(line => style('dim', line)),
    ...describePauses(pauses, at).map(line => style('yellow', cut(line, width)))
  ]
}

function describePauses(pauses: readonly Pause[], now: Date): string[] {
  const shown = pauses.slice(0, MOST_PAUSES).map(pause => describePause(pause, now))
  const more = pauses.length - shown.length
  return more > 0 ? [...shown, `and ${counted(more, 'more pause')}`] : shown
}

function describePause({ kind, name, key, since, by, reason }: Pause, now: Date): string {
  const what = kind === 'all' ? 'everything' : `${kind} ${name}${key === null ? '' : `, key ${key}`}`
  return oneLine(`paused: ${what}, ${relativeTime(since, now)} by ${by}${reason === null ? '' : `: ${reason}`}`)
}

function describeRecurring({ count, paused, next }: Status['recurring'], now: Date): string[] {
  if (count === 0) return []
  const jobs = `${number(count)}${count < MOST_COUNTED ? '' : ' or more'} recurring`
  return [
    `${jobs}${paused > 0 ? ` (${number(paused)} paused)` : ''}`,
    ...(next ? [`next: ${oneLine(next.name)} ${relativeTime(next.at, now)}`] : [])
  ]
}

/** Wraps a list of figures. */
function fold(parts: readonly string[], width: number): string[] {
  const lines: string[] = []
  for (const part of parts) {
    const line = `${lines.at(-1)} · ${part}`
    if (lines.length > 0 && line.length <= width) lines[lines.length - 1] = line
    else lines.push(part)
  }
  return lines.map(line => cut(line, width))
}

/** Shares lines among sections, one at a time in turn, until none is left or wanted. */
function share(wanted: readonly number[], lines: number): number[] {
  const given = wanted.map(() => 0)
  for (let left = lines; left > 0; ) {
    const before = left
    for (const [index, most] of wanted.entries()) {
      if (left === 0 || given[index]! >= most) continue
      if (!Number.isFinite(left)) return [...wanted]
      given[index]!++
      left--
    }
    if (left === before) break
  }
  return given
}

function number(value: number): string {
  return value.toLocaleString('en')
}

function rate({ ratePerMinute }: Pick<Figures, 'ratePerMinute'>): number {
  return Math.round(ratePerMinute * 10) / 10
}

/** Leaves out zeros, so that other numbers stand out. */
function some(value: number): string {
  return value === 0 ? '' : number(value)
}

/** A column of figures. Where there is no room, columns of a higher rank are left out first. */
function figure(rank: number, title: string, cell: (row: Figures) => string, format?: Format): Column<Figures> {
  return { title, rank, align: 'right', cell: row => ({ text: cell(row), format }) }
}

const figures: readonly Column<Figures>[] = [
  figure(1, 'waiting', row => some(row.waiting)),
  figure(4, 'oldest', row => shortLength(row.oldestWaitingMs)),
  figure(2, 'running', row => some(row.running), 'green'),
  figure(8, 'scheduled', row => some(row.scheduled)),
  figure(6, 'retrying', row => some(row.retrying), 'yellow'),
  figure(3, 'failed', row => some(row.failed), 'red'),
  figure(9, 'done', row => some(row.succeeded)),
  figure(7, 'failures', row => some(row.failures), 'red'),
  figure(5, '/min', row => some(rate(row))),
  figure(10, 'p50', row => shortLength(row.p50Ms)),
  figure(11, 'p95', row => shortLength(row.p95Ms)),
  figure(12, 'p99', row => shortLength(row.p99Ms))
]

const LEAST_NAME = 16

const taskColumns: readonly Column<TaskStatus>[] = [
  { title: 'task', cell: row => row.task, least: LEAST_NAME },
  ...figures
]

const queueColumns: readonly Column<QueueStatus>[] = [
  { title: 'queue', cell: row => row.queue, least: LEAST_NAME },
  ...figures,
  { title: 'held by', cell: row => row.worker ?? '', least: LEAST_NAME, rank: 13 }
]

const limitColumns: readonly Column<LimitState>[] = [
  {
    title: 'limit',
    cell: ({ kind, name, perKey }) => `${kind === 'queue' ? 'queue ' : ''}${name}${perKey ? ' per key' : ''}`,
    least: LEAST_NAME
  },
  { title: 'slots', align: 'right', cell: ({ concurrency }) => (concurrency === null ? '' : number(concurrency)) },
  { title: 'in use', align: 'right', cell: ({ used }) => number(used) },
  { title: 'rate', align: 'right', cell: ({ rate }) => rate ?? '' },
  { title: 'waiting', align: 'right', cell: ({ waiting }) => number(waiting) }
]

function workerColumnsAt(now: Date): readonly Column<WorkerStatus>[] {
  return [
    { title: 'worker', cell: row => row.id, least: LEAST_NAME },
    {
      title: 'is',
      align: 'right',
      cell: row =>
        row.isAlive
          ? { text: 'alive', format: 'green' }
          : { text: `lost ${shortLength(row.beatAgeMs)} ago`, format: 'red' },
      rank: 1
    },
    { title: 'running', align: 'right', cell: row => `${row.running} of ${row.concurrency}`, rank: 2 },
    { title: 'host', cell: row => row.host, least: LEAST_NAME, rank: 3 },
    { title: 'process', align: 'right', cell: row => String(row.pid), rank: 4 },
    { title: 'up', align: 'right', cell: row => shortLength(now.getTime() - row.startedAt.getTime()), rank: 6 },
    { title: 'tasks', cell: row => row.tasks.join(', '), least: LEAST_NAME, rank: 5 }
  ]
}

/** In columns. A longer line of figures is hard to read. */
const MOST_TITLE = 120

const MOST_PAUSES = 3
