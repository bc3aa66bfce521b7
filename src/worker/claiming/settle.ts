import { untilAborted } from '../../async/abort.ts'
import { repeat } from '../../async/repeat.ts'
import { codeOf } from '../../database/failure.ts'
import type { Logger } from '../../logger.ts'
import { pauses } from '../../rules/timings.ts'
import type { Claim } from '../execution/claim.ts'
import type { Endings } from '../execution/ending.ts'

/** The options of {@linkcode createSettlement}. */
export interface SettlementOptions {
  /** Tries to create a missing partition of the ledger. */
  mend(): Promise<void>
  readonly strip: Endings['strip']
  readonly logger: Logger
  /** Aborts when the worker stops. It ends all repetitions. */
  readonly signal: AbortSignal
}

/** Writes how jobs ended, and repeats this until the database accepts it. */
export interface Settlement {
  /**
   * Writes the endings of claims and repeats this until it succeeds. If the database refuses a value, the claims are
   * split in halves until the claim with that value is found; then details are removed from its ending.
   */
  write(claims: readonly Claim[], send: Send): Promise<void>
  /**
   * Resolves with how many more jobs the worker may fetch, as soon as that is at least one or the signal aborts. There is
   * no limit while endings can be written.
   */
  room(signal: AbortSignal): Promise<number>
}

/** Writes the current endings of claims once. */
type Send = (claims: readonly Claim[]) => Promise<void>

/**
 * The ledger may not be writable: its table, a privilege or today's partition may be missing. The worker then drops no
 * runs and fails no jobs. Their endings wait, and once too many wait, the worker fetches no more jobs.
 */
export function createSettlement({ mend, strip, logger, signal }: SettlementOptions): Settlement {
  const failing = new Set<object>()
  let waiting = 0
  let late = 0
  let few = Promise.withResolvers<void>()
  few.resolve()

  function count(change: number): void {
    waiting += change
    if (waiting < MOST_WAITING) few.resolve()
    else if (waiting - change < MOST_WAITING) few = Promise.withResolvers()
  }

  /** Repeats the attempt until it succeeds or the worker stops. */
  async function writeUntilDone(claims: readonly Claim[], send: Send): Promise<void> {
    const batch = {}
    let isWritten = false
    try {
      await repeat(() => attempt(claims, send), {
        signal,
        pauses: pauses.database,
        async onFailure(error) {
          failed(batch, claims, error)
          if (codeOf(error) !== NO_PARTITION) return
          await mend().catch(cause => logger.debug(`Cannot add a partition to the ledger: ${cause}`, { error: cause }))
        }
      })
      isWritten = true
    } finally {
      ended(batch, isWritten)
    }
  }

  async function attempt(claims: readonly Claim[], send: Send): Promise<void> {
    try {
      await send(claims)
    } catch (error) {
      if (signal.aborted || !isUnfit(error)) throw error
      const [alone, ...others] = claims
      if (alone && others.length === 0) {
        const left = alone.ending && strip(alone.ending, error)
        if (!left) throw error
        alone.ending = left
        return await attempt(claims, send)
      }
      const middle = claims.length >> 1
      await Promise.all([claims.slice(0, middle), claims.slice(middle)].map(half => writeUntilDone(half, send)))
    }
  }

  function failed(batch: object, claims: readonly Claim[], error: unknown): void {
    if (failing.size === 0) {
      const reason = error instanceof Error ? error.message : String(error)
      logger.error(`Cannot write how jobs ended: ${reason}; completions wait`, { event: 'worker.blocked', error })
    }
    if (!failing.has(batch)) late += claims.length
    failing.add(batch)
  }

  function ended(batch: object, isWritten: boolean): void {
    if (!failing.delete(batch) || failing.size > 0) return
    if (isWritten)
      logger.info(`How jobs ended is written again; ${late} had waited`, { event: 'worker.unblocked', late })
    late = 0
  }

  return {
    async write(claims, send) {
      count(claims.length)
      try {
        await writeUntilDone(claims, send)
      } finally {
        count(-claims.length)
      }
    },
    async room(signal) {
      if (waiting >= MOST_WAITING) await untilAborted(signal, few.promise)
      return failing.size > 0 ? Math.max(1, MOST_WAITING - waiting) : Number.POSITIVE_INFINITY
    }
  }
}

/** No partition of the table accepts the row. */
const NO_PARTITION = '23514'

/** A value that does not fit its column, a value that is too large, or a refusal by a constraint or a trigger. */
const UNFIT = /^(?:22|54|P0|23(?!514))/

function isUnfit(error: unknown): boolean {
  // A RangeError: the values of many jobs together may exceed the longest possible string.
  return UNFIT.test(codeOf(error) ?? '') || error instanceof RangeError
}

/** While more endings than this wait to be written, the worker fetches no jobs. */
const MOST_WAITING = 1_000
