import type { Duration } from '../duration.ts'
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
import type { Access } from '../sql/statement.ts'
import { mergeBuckets, type Percentiles, percentilesOf } from './percentiles.ts'

/** What {@linkcode Inspection.status} takes. */
export interface StatusOptions {
  /**
   * How far back runs are counted. Counters are by the minute, so that the first one is counted whole.
   *
   * @default '1h'
   */
  window?: Duration
  /**
   * How many queues are listed at most, those with the most waiting jobs first.
   *
   * @default 100
   */
  maxQueues?: number
}

/** How many jobs are in which state, and how many runs have ended in what since {@linkcode Status.since}. */
export interface Figures extends Percentiles {
  /** Jobs that could run now, among them those that a worker has fetched and not begun. */
  readonly waiting: number
  /** Jobs whose time has not come. */
  readonly scheduled: number
  /** Jobs that run. */
  readonly running: number
  /** Jobs that have failed and will be tried again. */
  readonly retrying: number
  /** Jobs that have failed for good. */
  readonly failed: number
  /** For how long the oldest of the waiting jobs could have run already, in milliseconds; `null` without one. */
  readonly oldestWaitingMs: number | null
  /** Runs that succeeded. */
  readonly succeeded: number
  /** Runs that failed, timed out, or were lost with their worker. */
  readonly failures: number
  /** How many runs have ended per minute, in whatever. */
  readonly ratePerMinute: number
  /** How long jobs waited on average, from when they could run until they did, in milliseconds; `null` without runs. */
  readonly averageWaitedMs: number | null
}

/** A task and its {@linkcode Figures}. */
export interface TaskStatus extends Figures {
  /** Its name. */
  readonly task: string
  /** How many live workers run it. */
  readonly workers: number
}

/**
 * A queue and its {@linkcode Figures}. Runs are counted for the 200 busiest queues of each minute, and of each hour that
 * is over: of many names, those with few runs show none.
 */
export interface QueueStatus extends Figures {
  /** Its name. */
  readonly queue: string
  /** The worker that has a job of it at hand, or `null`. */
  readonly worker: string | null
  /** Since when, or `null`. */
  readonly heldSince: Date | null
}

/** A worker on the register. */
export interface WorkerStatus {
  /** The name under which it locks jobs. */
  readonly id: string
  /** The machine that it runs on. */
  readonly host: string
  /** The number of its process there. */
  readonly pid: number
  /** How many jobs it runs at the same time at most. */
  readonly concurrency: number
  /** How many it runs now. */
  readonly running: number
  /** The names of the tasks that it knows. */
  readonly tasks: readonly string[]
  /** When it registered, by the database's clock. */
  readonly startedAt: Date
  /** How many milliseconds ago it last showed that it lives. */
  readonly beatAgeMs: number
  /** Whether it lives: its last beat is fresh, or its connection is open. */
  readonly isAlive: boolean
}

/** What {@linkcode Inspection.status} tells. */
export interface Status {
  /** When, by the database's clock. */
  readonly at: Date
  /** From when on runs are counted. */
  readonly since: Date
  /** Of all jobs, those without a queue too. */
  readonly totals: Figures
  /** Tasks that have jobs or runs to show, or that a live worker knows, by name. */
  readonly tasks: readonly TaskStatus[]
  /** Queues that have jobs or runs to show, those with the most waiting jobs first. */
  readonly queues: readonly QueueStatus[]
  /**
   * How many queues are not listed; those without a job are left out if those with one fill the list. From 20,000 names on,
   * all of them count, and which have the most waiting jobs is told by a part of the jobs.
   */
  readonly moreQueues: number
  /** Those on the register, the oldest first: lost ones too, until another takes them off. */
  readonly workers: readonly WorkerStatus[]
}

/** Reads how things stand. History comes from counters, so that it takes as long with ten runs as with ten million. */
export async function readStatus(access: Access, windowMs: number, maxQueues: number): Promise<Status> {
  const [live, past, workers] = await Promise.all([
    readLive(access, maxQueues),
    readPastTasks(access, windowMs),
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

/** Queues with jobs come first; where there is room for more, those follow of which something has run. */
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

function totalsOf(live: readonly LiveRow[], past: readonly PastRow[], minutes: number): Figures {
  const sum = <Row>(rows: readonly Row[], read: (row: Row) => number): number =>
    rows.reduce((total, row) => total + read(row), 0)
  const ages = live.map(row => row.oldestWaitingMs).filter(age => age !== null)
  return figuresOf(
    {
      waiting: sum(live, row => row.waiting),
      scheduled: sum(live, row => row.scheduled),
      running: sum(live, row => row.running),
      retrying: sum(live, row => row.retrying),
      failed: sum(live, row => row.failed),
      oldestWaitingMs: ages.length > 0 ? Math.max(...ages) : null
    },
    {
      succeeded: sum(past, row => row.succeeded),
      failures: sum(past, row => row.failures),
      ended: sum(past, row => row.ended),
      waitingMs: sum(past, row => row.waitingMs),
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

function countOf({ waiting, scheduled, running, retrying, failed }: Figures): number {
  return waiting + scheduled + running + retrying + failed
}

const NOTHING = { waiting: 0, scheduled: 0, running: 0, retrying: 0, failed: 0, oldestWaitingMs: null }
