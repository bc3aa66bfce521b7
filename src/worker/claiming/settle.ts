import { repeat } from '../../async/repeat.ts'
import { codeOf } from '../../database/failure.ts'
import type { Logger } from '../../logger.ts'
import type { Claim } from '../execution/claim.ts'
import type { Endings } from '../execution/ending.ts'

/** What {@linkcode createSettlement} takes. */
export interface SettlementOptions {
  /** Makes room in the ledger, if it can. */
  mend(): Promise<void>
  readonly strip: Endings['strip']
  readonly logger: Logger
  /** Ends what is repeated: the worker stops. */
  readonly signal: AbortSignal
}

/** Sees to it that what became of jobs is written, whatever keeps the database from it. */
export interface Settlement {
  /**
   * Repeats what writes the endings of claims until it is done. Claims of which the database refuses a value are written in
   * halves, until the one is alone whose value it is; then it is stripped.
   */
  write(claims: readonly Claim[], send: Send): Promise<void>
  /** Resolves once not too many claims wait to be written, or the signal aborts. */
  whenFew(signal: AbortSignal): Promise<void>
}

/** Writes the endings of claims, as they are now. */
type Send = (claims: readonly Claim[]) => Promise<void>

/**
 * A ledger that cannot be written, because its table is gone, or a privilege, or there is no partition for today, is no
 * reason to drop runs or to fail jobs: their endings wait, and once there are too many, so do the jobs that would be
 * next.
 */
export function createSettlement({ mend, strip, logger, signal }: SettlementOptions): Settlement {
  const failing = new Set<object>()
  let waiting = 0
  let late = 0
  let few = Promise.withResolvers<void>()
  few.resolve()

  function count(change: number): void {
    waiting += change
    if (waiting <= MOST_WAITING) few.resolve()
    else if (waiting - change <= MOST_WAITING) few = Promise.withResolvers()
  }

  /** Repeats until it is written, or the worker stops. */
  async function insist(claims: readonly Claim[], send: Send): Promise<void> {
    const who = {}
    let isWritten = false
    try {
      await repeat(() => attempt(claims, send), {
        signal,
        pauses: PAUSES,
        async onFailure(error) {
          failed(who, claims, error)
          if (codeOf(error) !== NO_PARTITION) return
          await mend().catch(cause => logger.debug(`Cannot make room in the ledger: ${cause}`, { error: cause }))
        }
      })
      isWritten = true
    } finally {
      ended(who, isWritten)
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
      await Promise.all([claims.slice(0, middle), claims.slice(middle)].map(half => insist(half, send)))
    }
  }

  function failed(who: object, claims: readonly Claim[], error: unknown): void {
    if (failing.size === 0) {
      const reason = error instanceof Error ? error.message : String(error)
      logger.error(`Cannot write how jobs ended: ${reason}; completions wait`, { event: 'worker.blocked', error })
    }
    if (!failing.has(who)) late += claims.length
    failing.add(who)
  }

  function ended(who: object, isWritten: boolean): void {
    if (!failing.delete(who) || failing.size > 0) return
    if (isWritten)
      logger.info(`How jobs ended is written again; ${late} had waited`, { event: 'worker.unblocked', late })
    late = 0
  }

  return {
    async write(claims, send) {
      count(claims.length)
      try {
        await insist(claims, send)
      } finally {
        count(-claims.length)
      }
    },
    async whenFew(signal) {
      if (waiting <= MOST_WAITING || signal.aborted) return
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

const PAUSES = { leastMs: 100, mostMs: 2_000 }

/** How many jobs may have ended and not be written off before no more are fetched. */
const MOST_WAITING = 1_000
