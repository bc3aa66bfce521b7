import type { Figures, QueueStatus, Status, TaskStatus, WorkerStatus } from '../../src/ledger/status.ts'
import type { Style } from '../context.ts'
import { type Column, tableLines } from '../terminal/status-table.ts'
import { cut } from '../terminal/width.ts'

/** What there is room for. */
export interface Room {
  readonly style: Style
  readonly width: number
  /** How many lines at most; as many as it takes without. */
  readonly height?: number
}

/** Tasks, queues and workers on one screen. */
export function statusScreen(status: Status, { style, width, height = Number.POSITIVE_INFINITY }: Room): string[] {
  const { tasks, queues, moreQueues, workers } = status
  const room = { style, width }
  const sections = [
    section('task', tasks, taskColumns, 0, room),
    section('queue', queues, queueColumns, moreQueues, room),
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
    const rest =
      left > 0
        ? [style('dim', cut(`and ${left.toLocaleString('en')} more ${noun}${left === 1 ? '' : 's'}`, width))]
        : []
    return ['', heading, ...shown, ...rest]
  })
  if (workers.length === 0)
    body.push('', style('yellow', cut('No worker is running: kretes background starts one', width)))
  return [...title, ...body].slice(0, height)
}

/** A length of time in few letters. */
export function shortLength(ms: number | null): string {
  if (ms === null) return ''
  const [unit, length] = UNITS.find(([, length]) => ms >= length) ?? (['ms', 1] as const)
  const amount = ms / length
  return `${amount >= 10 || unit === 'ms' ? Math.round(amount) : Math.round(amount * 10) / 10} ${unit}`
}

function section<Row>(
  noun: string,
  items: readonly Row[],
  columns: readonly Column<Row>[],
  more: number,
  room: { style: Style; width: number }
): { noun: string; heading: string; rows: string[]; more: number } {
  const [heading = '', ...rows] = tableLines(items, columns, room)
  return { noun, heading, rows, more }
}

function titleOf({ totals, workers, at, since }: Status, width: number, style: Style): string[] {
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
    `${alive.length} ${alive.length === 1 ? 'worker' : 'workers'} (${running} of ${slots} busy)`
  ]
  const past = [
    `last ${shortLength(at.getTime() - since.getTime())}: ${number(totals.succeeded)} succeeded`,
    `${number(totals.failures)} failed`,
    `${number(Math.round(totals.ratePerMinute))}/min`,
    ...(totals.p50Ms === null ? [] : [`p50 ${shortLength(totals.p50Ms)}, p99 ${shortLength(totals.p99Ms)}`])
  ]
  return [...fold(now, width).map(line => style('bold', line)), ...fold(past, width).map(line => style('dim', line))]
}

/** Puts as many figures on a line as there is room for. */
function fold(parts: readonly string[], width: number): string[] {
  const lines: string[] = []
  for (const part of parts) {
    const line = `${lines.at(-1)} · ${part}`
    if (lines.length > 0 && line.length <= width) lines[lines.length - 1] = line
    else lines.push(part)
  }
  return lines.map(line => cut(line, width))
}

/** Gives everybody a line in turn until there is none left or nobody wants one. */
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

/** A nought is left out, so that what is there stands out. */
function some(value: number): string {
  return value === 0 ? '' : number(value)
}

const figures: readonly Column<Figures>[] = [
  { title: 'waiting', text: row => some(row.waiting), rank: 1 },
  { title: 'oldest', text: row => shortLength(row.oldestWaitingMs), rank: 4 },
  { title: 'running', text: row => some(row.running), rank: 2, format: row => (row.running > 0 ? 'green' : undefined) },
  { title: 'scheduled', text: row => some(row.scheduled), rank: 8 },
  {
    title: 'retrying',
    text: row => some(row.retrying),
    rank: 6,
    format: row => (row.retrying > 0 ? 'yellow' : undefined)
  },
  { title: 'failed', text: row => some(row.failed), rank: 3, format: row => (row.failed > 0 ? 'red' : undefined) },
  { title: 'done', text: row => some(row.succeeded), rank: 9 },
  {
    title: 'failures',
    text: row => some(row.failures),
    rank: 7,
    format: row => (row.failures > 0 ? 'red' : undefined)
  },
  { title: '/min', text: row => some(Math.round(row.ratePerMinute * 10) / 10), rank: 5 },
  { title: 'p50', text: row => shortLength(row.p50Ms), rank: 10 },
  { title: 'p95', text: row => shortLength(row.p95Ms), rank: 11 },
  { title: 'p99', text: row => shortLength(row.p99Ms), rank: 12 }
]

const taskColumns: readonly Column<TaskStatus>[] = [
  { title: 'task', text: row => row.task, isName: true, rank: 0 },
  ...figures
]

const queueColumns: readonly Column<QueueStatus>[] = [
  { title: 'queue', text: row => row.queue, isName: true, rank: 0 },
  ...figures,
  { title: 'held by', text: row => row.worker ?? '', isName: true, rank: 13 }
]

function workerColumnsAt(now: Date): readonly Column<WorkerStatus>[] {
  return [
    { title: 'worker', text: row => row.id, isName: true, rank: 0 },
    {
      title: 'is',
      text: row => (row.isAlive ? 'alive' : `lost ${shortLength(row.beatAgeMs)} ago`),
      rank: 1,
      format: row => (row.isAlive ? 'green' : 'red')
    },
    { title: 'running', text: row => `${row.running} of ${row.concurrency}`, rank: 2 },
    { title: 'host', text: row => row.host, isName: true, rank: 3 },
    { title: 'process', text: row => String(row.pid), rank: 4 },
    { title: 'up', text: row => shortLength(now.getTime() - row.startedAt.getTime()), rank: 6 },
    { title: 'tasks', text: row => row.tasks.join(', '), isName: true, rank: 5 }
  ]
}

/** In columns: a longer line of figures is hard to read. */
const MOST_TITLE = 120

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000]
] as const
