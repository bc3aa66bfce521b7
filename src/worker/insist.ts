import { setTimeout } from 'node:timers/promises'
import { codeOf } from '../database/failure.ts'
import type { Logger } from '../logger.ts'

/** What {@linkcode createInsistence} takes. */
export interface InsistenceOptions {
  /** How many ended jobs may wait to be written before no more are fetched. */
  readonly most: number
  /** Makes room for what could not be written, if it can. */
  mend(): Promise<void>
  /** Some of what these jobs left cannot be held by the database; does without. */
  strip(jobs: readonly string[], error: unknown): void
  readonly logger: Logger
}

/** Sees to it that the ends of jobs are written, whatever keeps the ledger from it. */
export interface Insistence {
  /** Repeats what writes the end of jobs until it is done, or until the signal aborts. */
  insist<Result>(jobs: readonly string[], work: () => Promise<Result>, signal: AbortSignal): Promise<Result>
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

  async function tryUntilDone<Result>(
    who: object,
    jobs: readonly string[],
    work: () => Promise<Result>,
    signal: AbortSignal
  ): Promise<Result> {
    for (let failures = 0; ; failures++) {
      try {
        return await work()
      } catch (error) {
        if (signal.aborted) throw error
        if (failures === 0 && UNFIT.test(codeOf(error) ?? '')) {
          strip(jobs, error)
          continue
        }
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
      const who = {}
      let isWritten = false
      count(jobs.length)
      try {
        const result = await tryUntilDone(who, jobs, work, signal)
        isWritten = true
        return result
      } finally {
        count(-jobs.length)
        ended(who, isWritten)
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

/** Values that their columns cannot hold, or too much of them. */
const UNFIT = /^(?:22|54)/

const MIN_PAUSE_MS = 100
const MAX_PAUSE_MS = 2_000

/** How many jobs may have ended and not be written off before no more are fetched. */
export const MOST_WAITING = 1_000
