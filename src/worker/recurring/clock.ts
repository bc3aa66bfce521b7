import { setTimeout as sleep } from 'node:timers/promises'
import { setTimer, type Timer } from '../../async/timer.ts'
import { dueOccurrences } from '../../cron/occurrences.ts'
import { isTransientFailure } from '../../database/failure.ts'
import type { Logger } from '../../logger.ts'
import { recurringTimings } from '../../rules/timings.ts'
import { type DueEntries, type DueEntry, type Fired, type Firing, findDue, fire } from '../../sql/recurring/fire.ts'
import type { Execute } from '../../sql/statement.ts'
import { createPace } from './pace.ts'

/** The options of {@linkcode createRecurringClock}. */
export interface RecurringClockOptions {
  readonly execute: Execute
  readonly schema: string
  readonly logger: Logger
}

/** Schedules the jobs of recurring jobs when their occurrences come. */
export interface RecurringClock {
  /** The names of recurring jobs that this worker cannot schedule now. */
  readonly unfit: readonly string[]
  /** Call with the milliseconds until the next occurrence, whenever the worker has looked; `null` if there is none. */
  expect(inMs: number | null): void
  /** Call when a notification of an earlier occurrence arrives. Any login can send one. */
  notified(): void
  stop(): void
}

/**
 * Each worker has a clock, and all clocks do the same. The first worker to look moves a recurring job to its next
 * occurrence, and the other workers find it moved. The clock costs nothing while there is no recurring job: the worker's
 * regular look for jobs that come due also reads the next occurrence.
 */
export function createRecurringClock({ execute, schema, logger }: RecurringClockOptions): RecurringClock {
  /**
   * Recurring jobs that this worker cannot schedule, and when it tries again. Another worker, of another version, may be
   * able to, or the reason may pass.
   */
  const unfit = new Map<string, { readonly untilMs: number; readonly problem: string }>()
  const pace = createPace()
  let timer: Timer | undefined
  let timerAtMs = Number.POSITIVE_INFINITY
  let restedAtMs = 0
  let isBusy = false
  let isStale = false
  let isStopped = false
  let lastProblem = ''

  function expect(inMs: number | null): void {
    // A round that is under way sets the timer at its end.
    if (inMs === null || isBusy || isStopped) return
    const nowMs = performance.now()
    const atMs = Math.max(nowMs + inMs, restedAtMs)
    // An answer may be older than the timer. A timer that is too early costs one look.
    if (timerAtMs <= atMs) return
    timer?.clear()
    timerAtMs = atMs
    // A little chance, so that not all workers come at the same moment.
    const delayMs = Math.max(atMs - nowMs, 0) + Math.random() * recurringTimings.spreadMs
    timer = setTimer(delayMs, () => void work(), { ref: false })
  }

  /** Schedules what is due, and sets the timer for the next occurrence. */
  async function work(): Promise<void> {
    isBusy = true
    timerAtMs = Number.POSITIVE_INFINITY
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
    restedAtMs = performance.now() + pace.pauseMs
    expect(isStale ? 0 : nextInMs)
  }

  /** Returns how many milliseconds it is until the next occurrence. */
  async function round(): Promise<number | null> {
    for (let losses = 0; !isStopped; ) {
      isStale = false
      const due = await findDue(execute, schema, MOST_ENTRIES, unfitNow())
      const readMs = performance.now()
      const firings = decide(due)
      const { moved } = await fireAll(firings)
      const isBeaten = moved < firings.length
      if (due.entries.length < MOST_ENTRIES && firings.length >= due.entries.length) {
        const nextMs = due.nowMs + untilNext(due, firings)
        const isLast = !Number.isFinite(nextMs)
        pace.looked({ nowMs: due.nowMs, firstMs: firstOf(due), nextMs: isLast ? null : nextMs, isBeaten })
        return isLast ? null : nextMs - due.nowMs - (performance.now() - readMs)
      }
      // The more often other workers come first, the longer this one leaves the backlog to them.
      losses = isBeaten ? losses + 1 : 0
      if (isBeaten) await sleep(yieldMs(losses), undefined, { ref: false })
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
        const { nextMs, occurrences, leftOut } = dueOccurrences(entry, toMilliseconds(entry), nowMs)
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
    const problem = `Cannot schedule the recurring job ${JSON.stringify(name)}, trying again: ${error}`
    const isNews = unfit.get(name)?.problem !== problem
    unfit.set(name, { untilMs: performance.now() + recurringTimings.unfitMs, problem })
    logger[isNews ? 'error' : 'debug'](problem, {
      event: 'recurring.unfit',
      schedule: name,
      error
    })
  }

  function unfitNow(): string[] {
    const nowMs = performance.now()
    return [...unfit].flatMap(([name, { untilMs }]) => (untilMs > nowMs ? name : []))
  }

  return {
    get unfit() {
      return unfitNow()
    },
    expect,
    notified() {
      isStale = true
      expect(0)
    },
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

/** The earliest occurrence that is due. */
function firstOf({ entries }: DueEntries): number | null {
  const [first] = entries
  return first ? toMilliseconds(first) : null
}

function toMilliseconds({ seen }: DueEntry): number {
  return Math.round(Number(seen) / 1_000)
}

function yieldMs(losses: number): number {
  const { leastMs, mostMs } = recurringTimings.yield
  return Math.min(leastMs * 2 ** losses, mostMs) * (0.5 + Math.random() / 2)
}

/** How many recurring jobs, and how many of their jobs, go into a statement. */
const MOST_ENTRIES = 500
const MOST_JOBS = 2_000
