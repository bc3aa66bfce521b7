import type { ClaimedJob } from '../../sql/worker/claim.ts'
import { type Claim, toClaim } from '../execution/claim.ts'

/** The claims of a worker: each job that it has locked, until the database has confirmed how the job ended. */
export interface Claims {
  readonly size: number
  all(): IterableIterator<Claim>
  /** The newest claim of a job. */
  of(job: string): Claim | undefined
  /**
   * Adds the jobs of a fetch. Returns those that the engine is to run: of several jobs of a queue only the first, whose
   * claim has the others as followers.
   */
  add(rows: readonly ClaimedJob[]): readonly ClaimedJob[]
  /** Removes claims. Call when the database has confirmed how they ended. */
  confirm(claims: readonly Claim[]): void
}

/**
 * Tracks claims, not jobs. When the answer to a statement is lost, the worker repeats the statement; meanwhile it may
 * have claimed the same job again.
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
    add(rows) {
      const sequences = new Map<number, Claim[]>()
      return rows.filter(row => {
        const claim = toClaim(row)
        all.add(claim)
        newest.set(row.id, claim)
        if (claim.queueId === null) return true
        const followers = sequences.get(claim.queueId)
        followers?.push(claim)
        if (followers) return false
        claim.followers = []
        sequences.set(claim.queueId, claim.followers as Claim[])
        return true
      })
    },
    confirm(claims) {
      for (const claim of claims) {
        all.delete(claim)
        if (newest.get(claim.job.id) === claim) newest.delete(claim.job.id)
      }
    }
  }
}
