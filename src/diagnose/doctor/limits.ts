/** The limits beyond which the doctor reports a problem. */
export interface Limits {
  readonly clockSkewMs: number
  /** How long a notification may take. */
  readonly notificationMs: number
  /** How long a transaction may hold back vacuum. */
  readonly holderMs: number
  readonly deadRows: number
  readonly ledgerBytes: number
  /** How long something may be paused. */
  readonly pauseAgeMs: number
  /** How long a due job may wait for a limit. */
  readonly limitWaitMs: number
}

/** A healthy installation stays well within these limits. */
export const DEFAULT_LIMITS: Limits = {
  clockSkewMs: 1_000,
  notificationMs: 2_000,
  holderMs: 5 * 60_000,
  deadRows: 100_000,
  ledgerBytes: 20 * 2 ** 30,
  pauseAgeMs: 3 * 86_400_000,
  limitWaitMs: 86_400_000
}
