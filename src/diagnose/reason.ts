/** The kind of a {@linkcode Reason}. Codes are stable, so your program can branch on them. */
export type ReasonCode =
  | 'running'
  | 'fetched'
  | 'worker-lost'
  | 'foreign-worker'
  | 'cancelled'
  | 'replaced'
  | 'failed'
  | 'scheduled'
  | 'snoozed'
  | 'backing-off'
  | 'no-worker'
  | 'unknown-task'
  | 'newer-version'
  | 'queue-not-taken'
  | 'queue-held'
  | 'behind-in-queue'
  | 'limit-reached'
  | 'rate-reached'
  | 'rate-limited'
  | 'workers-busy'
  | 'behind-others'
  | 'due'
  | 'next-occurrence'
  | 'paused'
  | 'skipped'
  | 'over'
  | 'ended'
  | 'gone'
  | 'never-existed'

/** A reason why a job does not run. */
export interface Reason {
  /** The kind of reason. */
  readonly code: ReasonCode
  /** The reason in words. */
  readonly message: string
  /** When the job is due, or since when the reason exists. */
  readonly at?: Date
  /** The worker that the reason is about. */
  readonly worker?: string
  /** The other job that the reason is about. */
  readonly job?: string
  /** The number of other jobs, or of running ones. */
  readonly count?: number
  /** The error. */
  readonly error?: string
  /** The tasks that live workers know. */
  readonly tasks?: readonly string[]
}
