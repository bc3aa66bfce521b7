import type { Job, ResultOptions, ScheduledJob } from '../job.ts'
import type { Results } from './results.ts'

/**
 * Creates a function that adds `result()` to a job. All jobs share one method, because a closure for each takes noticeable
 * time and memory for a million jobs. Printed or compared, a job is a plain object.
 */
export function createToScheduled(results: Results): (job: Job) => ScheduledJob<never> {
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
    readonly schedule: string | null
    readonly occurrence: Date | null

    constructor(job: Job) {
      const { id, task, queue, priority, runAt, attempts, maxAttempts, key, scheduledAt, schedule, occurrence } = job
      this.id = id
      this.task = task
      this.queue = queue
      this.priority = priority
      this.runAt = runAt
      this.attempts = attempts
      this.maxAttempts = maxAttempts
      this.key = key
      this.scheduledAt = scheduledAt
      this.schedule = schedule
      this.occurrence = occurrence
    }

    result(options?: ResultOptions): Promise<never> {
      // The margin allows for a clock that was set back a little.
      const since = new Date(this.scheduledAt.getTime() - MARGIN_MS).toISOString()
      return results.wait({ id: this.id, since }, options) as Promise<never>
    }
  }
  Object.defineProperty(Scheduled.prototype, 'constructor', { value: Object })
  return job => new Scheduled(job)
}

const MARGIN_MS = 60_000
