import { BUCKETS_PER_DOUBLING } from '../sql/ledger/schema.ts'

/** Percentiles of the durations of runs, in milliseconds, each within a tenth; `null` without runs. */
export interface Percentiles {
  /** Half of the runs took no longer. */
  readonly p50Ms: number | null
  /** 5 % of the runs took longer. */
  readonly p95Ms: number | null
  /** 1 % of the runs took longer. */
  readonly p99Ms: number | null
}

/** Pairs of a duration bucket and the number of its runs. */
export type Buckets = readonly (readonly [bucket: number, runs: number])[]

/** Computes the percentiles of buckets. */
export function percentilesOf(buckets: Buckets): Percentiles {
  const total = buckets.reduce((sum, [, runs]) => sum + runs, 0)
  const at = (share: number): number | null => {
    let upTo = 0
    for (const [bucket, runs] of buckets) {
      upTo += runs
      if (upTo >= total * share) return middleOf(bucket)
    }
    return null
  }
  return { p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99) }
}

/** Merges buckets. */
export function mergeBuckets(several: readonly Buckets[]): Buckets {
  const sums = new Map<number, number>()
  for (const [bucket, runs] of several.flat()) sums.set(bucket, (sums.get(bucket) ?? 0) + runs)
  return [...sums].sort(([a], [b]) => a - b)
}

function middleOf(bucket: number): number {
  return Math.round(2 ** ((bucket + 0.5) / BUCKETS_PER_DOUBLING) * 10) / 10
}
