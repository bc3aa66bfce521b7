/** When occurrences come. */
export interface Rule {
  readonly cron: string | null
  readonly everyMs: number | null
  readonly timeZone: string
  readonly startMs: number | null
  readonly endMs: number | null
}

/** A recurrence with its defaults, as the database stores it. */
export interface Recurring extends Rule {
  /** How many missed occurrences are scheduled at most. */
  readonly mostMissed: number
  readonly overlap: 'skip' | 'queue' | 'allow'
  readonly jitterMs: number
}
