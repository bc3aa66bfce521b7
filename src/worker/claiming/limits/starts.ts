import { Snooze } from '../../../errors.ts'
import { type Begun, recordStarts } from '../../../sql/flow/rates.ts'
import type { Execute } from '../../../sql/statement.ts'
import type { Engine } from '../../engine/engine.ts'
import type { Claim, Counted } from '../../execution/claim.ts'

/** The options of {@linkcode createStarts}. */
export interface StartsOptions {
  readonly execute: Execute
  readonly schema: string
  readonly engine: Pick<Engine, 'id'>
  /** Repeats work until it is done or the worker stops. */
  insist(work: () => Promise<unknown>): Promise<unknown>
}

/** Tells the database when jobs of limits with a rate have begun. */
export interface Starts {
  /**
   * Call when a job begins.
   *
   * @throws {Snooze} if it is too late: the database does not count the job any more
   */
  begin(claim: Claim): void
  /** Call when jobs are not going to begin, if they have not begun. Resolves once the database knows. */
  notBegun(claims: readonly Claim[]): Promise<void>
}

/**
 * The database counts claimed jobs as begun at the latest time at which they may begin. When each of them has begun or was
 * given back, this replaces that by the times at which they have begun, in one statement for many claims.
 */
export function createStarts({ execute, schema, engine, insist }: StartsOptions): Starts {
  let complete: Begun[] = []
  let writing: Promise<unknown> | undefined

  /** Each claim counts once. */
  function take(claim: Claim): Counted | undefined {
    const { counted } = claim
    claim.counted = undefined
    if (!counted || --counted.open > 0) return counted
    complete.push(counted)
    writing ??= new Promise(resolve => setImmediate(resolve)).then(write)
    return counted
  }

  async function write(): Promise<void> {
    const begun = complete
    complete = []
    writing = undefined
    // The worker stops otherwise, and the database counts the jobs for a little longer than it must.
    await insist(() => execute(recordStarts(schema, engine.id, begun))).catch(() => {})
  }

  return {
    begin(claim) {
      const nowMs = performance.now()
      // This was checked before, but jobs that were lost with a worker may have waited for others since.
      if (claim.counted && nowMs > claim.counted.beginByMs) throw new Snooze(0)
      take(claim)?.startsMs.push(nowMs)
    },
    async notBegun(claims) {
      if (claims.filter(take).length > 0) await writing
    }
  }
}
