import { setTimeout } from 'node:timers/promises'
import { codeOf } from '../database/failure.ts'
import type { Logger } from '../logger.ts'

/** What {@linkcode createInsistence} takes. */
export interface InsistenceOptions {
  /** How many ended jobs may wait to be written before no more are fetched. */
  readonly most: number
  /** Makes room for what could not be written, if it can. */
  mend(): Promise<void>
  /**
   * The database refuses something of what this job left; does without.
   *
   * @param refusals how often it has refused; each time, less is left to refuse
   * @returns whether there was anything to do without
   */
  strip(job: string, error: unknown, refusals: number): boolean
  readonly logger: Logger
}

/** Sees to it that the ends of jobs are written, whatever keeps the ledger from it. */
export interface Insistence {
  /**
   * Repeats what writes the end of jobs until it is done, or until the signal aborts. Jobs of which the database refuses
   * a value are written in halves, until the one is alone whose value it is.
   */
  insist<Result>(
    jobs: readonly string[],
    work: (jobs: readonly string[]) => Promise<Result>,
    signal: AbortSignal
  ): Promise<Result>
  /** Resolves once not too many ended jobs wait to be written, or the signal aborts. */
  whenFew(signal: AbortSignal): Promise<void>
}

/**
 * A ledger that cannot be written, because its table is gone, or a privilege, or there is no partition for today, is no
 * reason to drop runs or to fail jobs: their completions wait, and once there are too many, so do the jobs that would be
 * next.
 */
export function createInsistence({ most, mend, strip, logger }: InsistenceOptions): Insistence {
  const failing = new Set<object>()
  let waiting = 0
  let late = 0
  let few = Promise.withResolvers<void>()
  few.resolve()

  function count(change: number): void {
    waiting += change
    if (waiting <= most) few.resolve()
    else if (waiting - change <= most) few = Promise.withResolvers()
  }

  function failed(who: object, jobs: readonly string[], error: unknown): void {
    if (failing.size === 0) {
      const reason = error instanceof Error ? error.message : String(error)
      logger.error(`Cannot write how jobs ended: ${reason}; completions wait`, { event: 'worker.blocked', error })
    }
    if (!failing.has(who)) late += jobs.length
    failing.add(who)
  }

  function ended(who: object, isWritten: boolean): void {
    if (!failing.delete(who) || failing.size > 0) return
    if (isWritten)
      logger.info(`How jobs ended is written again; ${late} had waited`, { event: 'worker.unblocked', late })
    late = 0
  }

  async function write<Result>(
    jobs: readonly string[],
    work: (jobs: readonly string[]) => Promise<Result>,
    signal: AbortSignal
  ): Promise<Result> {
    const who = {}
    let isWritten = false
    try {
      const result = await tryUntilDone(who, jobs, work, signal)
      isWritten = true
      return result
    } finally {
      ended(who, isWritten)
    }
  }

  async function tryUntilDone<Result>(
    who: object,
    jobs: readonly string[],
    work: (jobs: readonly string[]) => Promise<Result>,
    signal: AbortSignal
  ): Promise<Result> {
    let refusals = 0
    for (let failures = 0; ; failures++) {
      try {
        return await work(jobs)
      } catch (error) {
        if (signal.aborted) throw error
        if (isUnfit(error) && jobs.length > 1) {
          const middle = jobs.length >> 1
          const halves = [jobs.slice(0, middle), jobs.slice(middle)].map(half => write(half, work, signal))
          const [result] = (await Promise.all(halves)) as [Result, Result]
          return result
        }
        const [alone] = jobs
        if (isUnfit(error) && alone !== undefined && strip(alone, error, ++refusals)) continue
        failed(who, jobs, error)
        if (codeOf(error) === NO_PARTITION) {
          await mend().catch(cause => logger.debug(`Cannot make room in the ledger: ${cause}`, { error: cause }))
        }
        const limitMs = Math.min(MAX_PAUSE_MS, MIN_PAUSE_MS * 2 ** Math.min(failures, 10))
        await setTimeout(limitMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {})
        if (signal.aborted) throw error
      }
    }
  }

  return {
    async insist(jobs, work, signal) {
      count(jobs.length)
      try {
        return await write(jobs, work, signal)
      } finally {
        count(-jobs.length)
      }
    },
    async whenFew(signal) {
      if (waiting <= most || signal.aborted) return
      const aborted = Promise.withResolvers<void>()
      const abort = (): void => aborted.resolve()
      signal.addEventListener('abort', abort)
      await Promise.race([few.promise, aborted.promise])
      signal.removeEventListener('abort', abort)
    }
  }
}

/** No partition of the table takes the row. */
const NO_PARTITION = '23514'

/** Values that their columns cannot hold, too much of them, or what a constraint or a trigger refuses. */
const UNFIT = /^(?:22|54|P0|23(?!514))/

function isUnfit(error: unknown): boolean {
  // All values of many jobs may be longer than a text can be.
  return UNFIT.test(codeOf(error) ?? '') || error instanceof RangeError
}

const MIN_PAUSE_MS = 100
const MAX_PAUSE_MS = 2_000

/** How many jobs may have ended and not be written off before no more are fetched. */
export const MOST_WAITING = 1_000
