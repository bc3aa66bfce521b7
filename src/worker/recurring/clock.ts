import { setTimeout as sleep } from 'node:timers/promises'
import { setTimer, type Timer } from '../../async/timer.ts'
import { dueOccurrences } from '../../cron/occurrences.ts'
import { isTransientFailure } from '../../database/failure.ts'
import type { Logger } from '../../logger.ts'
import { recurringTimings } from '../../rules/timings.ts'
import {
  type DueEntries,
  type DueEntry,
  type Fired,
  type Firing,
  findDue,
  fire,
  readNextOccurrence
} from '../../sql/recurring/fire.ts'
import type { Execute } from '../../sql/statement.ts'

/** The options of {@linkcode createRecurringClock}. */
export interface RecurringClockOptions {
  readonly execute: Execute
  readonly schema: string
  readonly logger: Logger
}

/** Schedules the jobs of recurring jobs when their occurrences come. */
export interface RecurringClock {
  /** Call with the milliseconds until the next occurrence, whenever the worker has looked; `null` if there is none. */
  expect(inMs: number | null): void
  /** Call when a notification of an earlier occurrence arrives. Any login can send one. */
  notified(): void
  stop(): void
}

/**
 * Each worker has a clock, and all do the same: whoever comes first moves a recurring job to its next occurrence, and the
 * others find it moved. The clock costs nothing while there is no recurring job: the worker's regular look for jobs that
 * come due also reads the next occurrence.
 */
export function createRecurringClock({ execute, schema, logger }: RecurringClockOptions): RecurringClock {
  /** Recurring jobs that this worker cannot schedule. Another one, of another version, may be able to. */
  const unfit = new Set<string>()
  let timer: Timer | undefined
  let isBusy = false
  let isStopped = false
  let lastProblem = ''

  function expect(inMs: number | null): void {
    // A round that is under way sets the timer at its end.
    if (isBusy || isStopped) return
    timer?.clear()
    // A little chance, so that not all workers come at the same moment.
    const delayMs = Math.max(inMs ?? 0, 0) + Math.random() * recurringTimings.spreadMs
    timer = inMs === null ? undefined : setTimer(delayMs, () => void work(round), { ref: false })
  }

  /** Does work that returns how many milliseconds it is until the next occurrence. */
  async function work(round: () => Promise<number | null>): Promise<void> {
    if (isBusy || isStopped) return
    isBusy = true
    let nextInMs: number | null = recurringTimings.retryMs
    try {
      nextInMs = await round()
      lastProblem = ''
    } catch (error) {
      const problem = `Cannot schedule recurring jobs, trying again: ${error}`
      const isNews = !isTransientFailure(error) && problem !== lastProblem && !isStopped
      logger[isNews ? 'error' : 'debug'](problem, { event: 'recurring.failed', error })
      lastProblem = problem
    }
    isBusy = false
    expect(nextInMs)
  }

  async function round(): Promise<number | null> {
    while (!isStopped) {
      const due = await findDue(execute, schema, MOST_ENTRIES, [...unfit])
      const readMs = performance.now()
      const firings = decide(due)
      const { moved } = await fireAll(firings)
      const isDone = due.entries.length < MOST_ENTRIES && firings.length >= due.entries.length
      // Occurrences that come close together are scheduled together.
      if (isDone) {
        const leftMs = untilNext(due, firings) - (performance.now() - readMs)
        return Number.isFinite(leftMs) ? Math.max(leftMs, recurringTimings.leastPauseMs) : null
      }
      // Other workers are at it.
      if (moved < firings.length) await sleep(recurringTimings.yieldMs * (0.5 + Math.random()))
    }
    return null
  }

  /** Decides about as many as fit into a statement. */
  function decide({ entries, nowMs }: DueEntries): Firing[] {
    const firings: Firing[] = []
    let total = 0
    for (const entry of entries) {
      if (total >= MOST_JOBS) break
      try {
        const { nextMs, occurrences, leftOut } = dueOccurrences(entry, Math.round(Number(entry.seen) / 1_000), nowMs)
        firings.push({ name: entry.name, seen: entry.seen, nextMs, occurrences, leftOut })
        total += occurrences.length
      } catch (error) {
        setAside(entry, error)
      }
    }
    return firings
  }

  /** One that the database refuses must not keep the others from being scheduled. */
  async function fireAll(firings: readonly Firing[]): Promise<Fired> {
    const [first] = firings
    if (!first) return { moved: 0, scheduled: 0 }
    try {
      return await fire(execute, schema, firings)
    } catch (error) {
      if (isTransientFailure(error)) throw error
      if (firings.length === 1) {
        setAside(first, error)
        return { moved: 1, scheduled: 0 }
      }
      const half = Math.ceil(firings.length / 2)
      const left = await fireAll(firings.slice(0, half))
      const right = await fireAll(firings.slice(half))
      return { moved: left.moved + right.moved, scheduled: left.scheduled + right.scheduled }
    }
  }

  function setAside({ name }: Pick<DueEntry, 'name'>, error: unknown): void {
    unfit.add(name)
    logger.error(`Cannot schedule the recurring job ${JSON.stringify(name)}: ${error}`, {
      event: 'recurring.unfit',
      schedule: name,
      error
    })
  }

  return {
    expect,
    notified: () => void work(() => readNextOccurrence(execute, schema)),
    stop() {
      isStopped = true
      timer?.clear()
    }
  }
}

/** How long after the reading the next occurrence comes, of those that were due or of others. */
function untilNext({ nextInMs, nowMs }: DueEntries, firings: readonly Firing[]): number {
  const times = firings.flatMap(({ nextMs }) => (nextMs === null ? [] : nextMs - nowMs))
  return Math.min(nextInMs ?? Number.POSITIVE_INFINITY, ...times)
}

/** How many recurring jobs, and how many of their jobs, go into a statement. */
const MOST_ENTRIES = 500
const MOST_JOBS = 2_000
