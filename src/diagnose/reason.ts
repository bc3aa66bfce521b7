/** What a {@linkcode Reason} is about; stable, so that a program may branch on it. */
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
  | 'queue-held'
  | 'behind-in-queue'
  | 'workers-busy'
  | 'behind-others'
  | 'due'
  | 'ended'
  | 'gone'
  | 'never-existed'

/** A reason why a job does not run. What does not belong to it is left out. */
export interface Reason {
  /** What it is about. */
  readonly code: ReasonCode
  /** The reason in words. */
  readonly message: string
  /** When the job may run, or when what the reason speaks of began. */
  readonly at?: Date
  /** The worker that the reason speaks of. */
  readonly worker?: string
  /** The other job that it speaks of. */
  readonly job?: string
  /** How many other jobs. */
  readonly count?: number
  /** What went wrong. */
  readonly error?: string
  /** The tasks that live workers know. */
  readonly tasks?: readonly string[]
}
