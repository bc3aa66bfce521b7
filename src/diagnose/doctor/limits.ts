/** From when on something is found to be wrong. */
export interface Limits {
  readonly clockSkewMs: number
  /** How long a notification may be under way. */
  readonly notificationMs: number
  /** How long somebody may hold back vacuum. */
  readonly holderMs: number
  readonly deadRows: number
  readonly ledgerBytes: number
}

/** Such that an installation in good order keeps clear of them. */
export const DEFAULT_LIMITS: Limits = {
  clockSkewMs: 1_000,
  notificationMs: 2_000,
  holderMs: 5 * 60_000,
  deadRows: 100_000,
  ledgerBytes: 20 * 2 ** 30
}
