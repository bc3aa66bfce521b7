/** The middle of a list, the mean of the two middle ones if their number is even; NaN of an empty one. */
export function median(values: readonly number[]): number {
  return percentile(values, 50)
}

/** The value below which this share of a list lies, in percent, interpolated. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const position = ((sorted.length - 1) * percent) / 100
  const below = sorted[Math.floor(position)] ?? Number.NaN
  const above = sorted[Math.ceil(position)] ?? Number.NaN
  return below + (above - below) * (position % 1)
}

/**
 * How many times the second the first is. Where both were measured in the same rounds it is the median of the rounds'
 * ratios: what slowed the machine down for a while slowed both.
 */
export function ratio(first: readonly number[], second: readonly number[]): number {
  if (first.length !== second.length) return median(first) / median(second)
  return median(first.map((value, round) => value / second[round]!))
}

/** Random numbers from 0 to 1 that are the same in each run. */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    return state / 2 ** 31
  }
}
