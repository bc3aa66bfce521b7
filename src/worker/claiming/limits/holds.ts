import type { NamedLimit } from '../../../limit/lane.ts'
import type { Hold } from '../../../sql/worker/ending.ts'
import type { Claim } from '../../execution/claim.ts'

/** The holds of limits that runs of this worker have asked for, as far as they concern jobs that it has fetched. */
export interface Holds {
  /** Whether no limit of a fetched job was held since it was fetched, and the database still counts on the job. */
  mayBegin(claim: Claim): boolean
  /** Call when a run has ended that asks for a hold. */
  hold(claim: Claim, hold: Hold): void
  /** Call when the database knows of the holds that these claims have asked for. */
  held(claims: readonly Claim[]): void
}

/**
 * Creates the holds of a worker. The database keeps the holds, and lets a worker fetch no job that is held. So this concerns
 * only jobs that were fetched before the database knew of a hold.
 */
export function createHolds(limitsOf: (task: string) => readonly NamedLimit[]): Holds {
  /** When the database knew of a hold, by limit and key; endless before it does. */
  const sinceMs = new Map<string, number>()

  return {
    mayBegin({ lane, counted, claimedMs }) {
      if (!lane) return true
      if (counted && performance.now() > counted.beginByMs) return false
      if (sinceMs.size === 0) return true
      return !limitsOf(lane.task).some(
        ({ name, isKeyed }) => claimedMs <= (sinceMs.get(partOf(name, isKeyed, lane)) ?? NEVER)
      )
    },
    hold({ lane }, { limit, isKeyed }) {
      if (lane) sinceMs.set(partOf(limit, isKeyed, lane), Number.POSITIVE_INFINITY)
    },
    held(claims) {
      const nowMs = performance.now()
      for (const [part, ms] of sinceMs) if (ms < nowMs - KEPT_MS) sinceMs.delete(part)
      for (const { lane, ending } of claims) {
        const next = ending?.next
        if (lane && next?.kind === 'wait' && next.holds) {
          sinceMs.set(partOf(next.holds.limit, next.holds.isKeyed, lane), nowMs)
        }
      }
    }
  }
}

function partOf(limit: string, isKeyed: boolean, { key }: { readonly key: string }): string {
  return isKeyed ? `${limit}\n${key}` : limit
}

const NEVER = Number.NEGATIVE_INFINITY

/** Jobs that were fetched before a hold have begun or were given back after this time. */
const KEPT_MS = 3_600_000
