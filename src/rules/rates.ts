/** How many jobs may begin within a period, as in `'100/min'`, `'10/30s'` or `'5000/day'`. */
export type Rate = `${number}/${string}`

/** A {@linkcode Rate} in numbers. */
export interface RateParts {
  /** How many jobs may begin. */
  readonly count: number
  /** The length of the period in milliseconds. */
  readonly periodMs: number
}
