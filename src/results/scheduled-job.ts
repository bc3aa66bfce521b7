import type { Job, ResultOptions, ScheduledJob } from '../job.ts'
import type { Results } from './results.ts'

/** Makes a job that was scheduled one whose result can be waited for; of what type that is, its caller knows. */
export type ToScheduled = (job: Job) => ScheduledJob<never>

/**
 * Makes that. All jobs share one method, since a closure for each takes time and memory that a million of them feel; and
 * whoever prints or compares a job sees a plain object.
 */
export function createToScheduled(results: Results): ToScheduled {
  class Scheduled implements ScheduledJob<never> {
    readonly id: string
    readonly task: string
    readonly queue: string | null
    readonly priority: number
    readonly runAt: Date
    readonly attempts: number
    readonly maxAttempts: number
    readonly key: string | null
    readonly scheduledAt: Date

    constructor({ id, task, queue, priority, runAt, attempts, maxAttempts, key, scheduledAt }: Job) {
      this.id = id
      this.task = task
      this.queue = queue
      this.priority = priority
      this.runAt = runAt
      this.attempts = attempts
      this.maxAttempts = maxAttempts
      this.key = key
      this.scheduledAt = scheduledAt
    }

    result(options?: ResultOptions): Promise<never> {
      // A clock that was set back a little makes no difference.
      const since = new Date(this.scheduledAt.getTime() - MARGIN_MS).toISOString()
      return results.wait({ id: this.id, since }, options) as Promise<never>
    }
  }
  Object.defineProperty(Scheduled.prototype, 'constructor', { value: Object })
  return job => new Scheduled(job)
}

const MARGIN_MS = 60_000
