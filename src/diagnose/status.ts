import type { Duration } from '../duration.ts'
import { type LimitState, toLimitState } from '../flow/limits.ts'
import { type Pause, toPause } from '../flow/pauses.ts'
import { JOB_STATES } from '../rules/states.ts'
import { listLimits } from '../sql/flow/limits.ts'
import { listPauses } from '../sql/flow/pauses.ts'
import {
  findPastQueues,
  type Live,
  type LiveRow,
  type PastRow,
  readLive,
  readPastQueues,
  readPastTasks,
  readQueueHolders,
  readWorkers
} from '../sql/ledger/status.ts'
import { countRecurring, type RecurringCounts } from '../sql/recurring/monitor.ts'
import type { Access } from '../sql/statement.ts'
import { mergeBuckets, type Percentiles, percentilesOf } from './percentiles.ts'

/** Options of {@linkcode Monitoring.status}. */
export interface StatusOptions {
  /**
   * The time in which runs are counted, up to now. Runs are counted by the minute, so the first minute counts in full.
   *
   * @default '1h'
   */
  window?: Duration
  /**
   * The most queues to list, those with the most waiting jobs first.
   *
   * @default 100
   */
  maxQueues?: number
}

/** The number of jobs in each state now, and of runs that have ended since {@linkcode Status.since}. */
export interface Figures extends Percentiles {
  /** Jobs that are due, including those that a worker has fetched and not begun. */
  readonly waiting: number
  /** Jobs that are not due yet. */
  readonly scheduled: number
  /** Jobs that run. */
  readonly running: number
  /** Jobs that wait for their next attempt. */
  readonly retrying: number
  /** Jobs that have failed for good. */
  readonly failed: number
  /** How long the oldest waiting job has been due, in milliseconds; `null` without one. */
  readonly oldestWaitingMs: number | null
  /** Runs that succeeded. */
  readonly succeeded: number
  /** Runs that failed, timed out, or were lost with their worker. */
  readonly failures: number
  /** Runs of any outcome per minute. */
  readonly ratePerMinute: number
  /** The average time from when a job was due until it ran, in milliseconds; `null` without runs. */
  readonly averageWaitedMs: number | null
}

/** The status of a task. */
export interface TaskStatus extends Figures {
  /** The name of the task. */
  readonly task: string
  /** The number of live workers that run the task. */
  readonly workers: number
}

/** The status of a queue. Runs are counted for the 200 busiest queues of each minute, and of each past hour. */
export interface QueueStatus extends Figures {
  /** The name of the queue. */
  readonly queue: string
  /** The worker that has a job of the queue, or `null`. */
  readonly worker: string | null
  /** Since when the worker has it, or `null`. */
  readonly heldSince: Date | null
}

/** The status of a worker on the register. */
export interface WorkerStatus {
  /** The name under which it locks jobs. */
  readonly id: string
  /** The worker's machine. */
  readonly host: string
  /** The id of the worker's process. */
  readonly pid: number
  /** The most jobs that the worker runs at the same time. */
  readonly concurrency: number
  /** The number of jobs that it runs now. */
  readonly running: number
  /** The names of its tasks. */
  readonly tasks: readonly string[]
  /** When it registered, by the database's clock. */
  readonly startedAt: Date
  /** The time since the worker's last beat, in milliseconds. */
  readonly beatAgeMs: number
  /** Whether the worker lives: its last beat is recent, or its connection is open. */
  readonly isAlive: boolean
}

/** The status of recurring jobs. */
export interface RecurringStatus {
  /** How many there are; 10,000 stands for that number and more. */
  readonly count: number
  /** How many of them are paused; 10,000 stands for that number and more. */
  readonly paused: number
  /** The one whose occurrence comes next, or `null`. The time is past if no worker has scheduled it. */
  readonly next: { readonly name: string; readonly task: string; readonly at: Date } | null
}

/** The result of {@linkcode Monitoring.status}. */
export interface Status {
  /** When the status was read, by the database's clock. */
  readonly at: Date
  /** The time from which runs are counted. */
  readonly since: Date
  /** The figures of all jobs, including those without a queue. */
  readonly totals: Figures
  /** Tasks with jobs, with runs or with a live worker, by name. */
  readonly tasks: readonly TaskStatus[]
  /** Queues with jobs or runs, those with the most waiting jobs first. */
  readonly queues: readonly QueueStatus[]
  /**
   * The number of queues that are not listed. Queues without a job are counted only if queues with jobs do not fill the
   * list. From 20,000 queues on, all are counted, and a sample of the jobs decides which queues are listed.
   */
  readonly moreQueues: number
  /** The recurring jobs. */
  readonly recurring: RecurringStatus
  /** What is paused, the oldest pause first. */
  readonly pauses: readonly Pause[]
  /** The limits of tasks and queues, in the order of `limits.list`. */
  readonly limits: readonly LimitState[]
  /** The workers on the register, the oldest first. A lost worker stays until another one removes it. */
  readonly workers: readonly WorkerStatus[]
}

/** Reads the status. Past runs come from counters, so their number does not matter. */
export async function readStatus(access: Access, windowMs: number, maxQueues: number): Promise<Status> {
  const [live, past, recurring, pauses, limits, workers] = await Promise.all([
    readLive(access, maxQueues),
    readPastTasks(access, windowMs),
    countRecurring(access),
    listPauses(access),
    listLimits(access),
    readWorkers(access)
  ])
  const [at, since] = [new Date(live.at), new Date(past.since)]
  const minutes = Math.max((at.getTime() - since.getTime()) / 60_000, 1)

  const alive = workers.filter(({ isAlive }) => isAlive)
  const ended = new Map(past.tasks.map(row => [row.name, row]))
  const knowing = (task: string): number => alive.filter(({ tasks }) => tasks.includes(task)).length
  const tasks = live.tasks
    .map(row => ({ task: row.name, workers: knowing(row.name), ...figuresOf(row, ended.get(row.name), minutes) }))
    .filter(task => task.workers > 0 || task.succeeded + task.failures > 0 || countOf(task) > 0)

  const { queues, moreQueues } = await listQueues(access, live, { windowMs, maxQueues, minutes })
  return {
    at,
    since,
    totals: totalsOf(live.tasks, past.tasks, minutes),
    tasks,
    queues,
    moreQueues,
    recurring: toRecurringStatus(recurring),
    pauses: pauses.map(toPause),
    limits: limits.map(toLimitState),
    workers: workers.map(({ running, startedAt, id, host, pid, concurrency, tasks, beatAgeMs, isAlive }) => ({
      id,
      host,
      pid,
      concurrency,
      running: isAlive ? running.length : 0,
      tasks,
      startedAt: new Date(startedAt),
      beatAgeMs: Math.round(beatAgeMs),
      isAlive
    }))
  }
}

/** Lists queues with jobs, and fills the list with queues that have had runs. */
async function listQueues(
  access: Access,
  { queues: live, queueCount }: Live,
  { windowMs, maxQueues, minutes }: { windowMs: number; maxQueues: number; minutes: number }
): Promise<{ queues: QueueStatus[]; moreQueues: number }> {
  const listed = new Set(live.map(({ name }) => name))
  const past = queueCount < maxQueues ? await findPastQueues(access, windowMs, maxQueues) : { queues: [], count: 0 }
  const emptied = past.queues.filter(name => !listed.has(name)).slice(0, maxQueues - live.length)
  const names = [...listed, ...emptied]
  const moreQueues = Math.max(0, Math.max(queueCount, past.count) - names.length)
  if (names.length === 0) return { queues: [], moreQueues }
  const [ended, holders] = await Promise.all([
    readPastQueues(access, windowMs, names),
    emptied.length > 0 ? readQueueHolders(access, emptied) : []
  ])
  const endedBy = new Map(ended.map(row => [row.name, row]))
  const holderOf = new Map(holders.map(row => [row.name, row]))
  const rows = [
    ...live,
    ...emptied.map(name => ({ ...NOTHING, name, ...(holderOf.get(name) ?? { worker: null, heldSince: null }) }))
  ]
  const queues = rows.map(row => ({
    queue: row.name,
    worker: row.worker,
    heldSince: row.heldSince === null ? null : new Date(row.heldSince),
    ...figuresOf(row, endedBy.get(row.name), minutes)
  }))
  return { queues, moreQueues }
}

function toRecurringStatus({ count, paused, next }: RecurringCounts): RecurringStatus {
  return { count, paused, next: next && { name: next.name, task: next.task, at: new Date(next.atMs) } }
}

function totalsOf(live: readonly LiveRow[], past: readonly PastRow[], minutes: number): Figures {
  const sum = <Key extends string>(rows: readonly Record<Key, number>[], key: Key): number =>
    rows.reduce((total, row) => total + row[key], 0)
  const ages = live.map(row => row.oldestWaitingMs).filter(age => age !== null)
  return figuresOf(
    {
      waiting: sum(live, 'waiting'),
      scheduled: sum(live, 'scheduled'),
      running: sum(live, 'running'),
      retrying: sum(live, 'retrying'),
      failed: sum(live, 'failed'),
      oldestWaitingMs: ages.length > 0 ? Math.max(...ages) : null
    },
    {
      succeeded: sum(past, 'succeeded'),
      failures: sum(past, 'failures'),
      ended: sum(past, 'ended'),
      waitingMs: sum(past, 'waitingMs'),
      buckets: mergeBuckets(past.map(row => row.buckets))
    },
    minutes
  )
}

function figuresOf(
  { waiting, scheduled, running, retrying, failed, oldestWaitingMs }: Omit<LiveRow, 'name'>,
  past: Omit<PastRow, 'name'> | undefined,
  minutes: number
): Figures {
  const { succeeded = 0, failures = 0, ended = 0, waitingMs = 0, buckets = [] } = past ?? {}
  return {
    waiting,
    scheduled,
    running,
    retrying,
    failed,
    oldestWaitingMs: oldestWaitingMs === null ? null : Math.max(0, Math.round(oldestWaitingMs)),
    succeeded,
    failures,
    ratePerMinute: Math.round((ended / minutes) * 100) / 100,
    averageWaitedMs: ended === 0 ? null : Math.round((waitingMs / ended) * 10) / 10,
    ...percentilesOf(buckets)
  }
}

function countOf(figures: Figures): number {
  return JOB_STATES.reduce((total, state) => total + figures[state], 0)
}

const NOTHING = { waiting: 0, scheduled: 0, running: 0, retrying: 0, failed: 0, oldestWaitingMs: null }
