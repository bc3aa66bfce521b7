import type { ClaimedJob } from '../../sql/worker/claim.ts'
import { type Claim, toClaim } from '../execution/claim.ts'

/** The claims of a worker: the jobs that it has locked, and what has become of them until that is written. */
export interface Claims {
  readonly size: number
  all(): IterableIterator<Claim>
  /** The newest claim of a job. */
  of(job: string): Claim | undefined
  add(row: ClaimedJob): void
  /** The database has confirmed what became of them. */
  confirm(claims: readonly Claim[]): void
}

/**
 * Keeps account of claims, not of jobs: while a statement is repeated whose answer was lost, the worker may have claimed
 * the job anew that it unlocks.
 */
export function createClaims(): Claims {
  const all = new Set<Claim>()
  const newest = new Map<string, Claim>()
  return {
    get size() {
      return all.size
    },
    all: () => all.values(),
    of: job => newest.get(job),
    add(row) {
      const claim = toClaim(row)
      all.add(claim)
      newest.set(row.id, claim)
    },
    confirm(claims) {
      for (const claim of claims) {
        all.delete(claim)
        if (newest.get(claim.job.id) === claim) newest.delete(claim.job.id)
      }
    }
  }
}
