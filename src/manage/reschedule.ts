import { checkDefaults } from '../check/defaults.ts'
import { type Names, refuseUnknown } from '../check/options.ts'
import { toTimes } from '../check/times.ts'
import { BackgroundError } from '../errors.ts'
import type { Job } from '../job.ts'
import type { RescheduleOptions } from '../schedule.ts'
import { type Changes, changeWaiting, findObstacle, removeWaiting, type Target } from '../sql/jobs/waiting.ts'
import type { Access } from '../sql/statement.ts'

/**
 * Changes a job that no worker has.
 *
 * @throws {BackgroundError} `JOB_RUNNING`, `JOB_FAILED` or `JOB_GONE`
 */
export function reschedule(access: Access, target: Target, changes: Changes): Promise<Job> {
  return changeUnlessHeld(access, target, 'reschedule', () => changeWaiting(access, target, changes))
}

/**
 * Removes a job that no worker has.
 *
 * @throws {BackgroundError} `JOB_RUNNING` or `JOB_GONE`
 */
export function unschedule(access: Access, target: Target): Promise<Job> {
  return changeUnlessHeld(access, target, 'unschedule', () => removeWaiting(access, target))
}

/**
 * Reads the changes that a caller wants.
 *
 * @throws {TypeError} if an option has the wrong type, none is given, or there is no such option
 * @throws {RangeError} if an option is out of range
 */
export function toChanges(options: RescheduleOptions): Changes {
  const doing = 'reschedule a job'
  refuseUnknown(options, CHANGES, doing)
  const { runAt, delay, priority, maxAttempts } = options
  checkDefaults({ priority, maxAttempts }, doing)
  const changes = { ...toTimes({ runAt, delay }, doing), priority: priority ?? null, maxAttempts: maxAttempts ?? null }
  if (Object.values(changes).some(value => value !== null)) return changes
  throw new TypeError(`Cannot ${doing}: no change is given`)
}

/** The names of the {@linkcode RescheduleOptions}, for checks. */
export const CHANGES: Names<RescheduleOptions> = { runAt: true, delay: true, priority: true, maxAttempts: true }

/** Between the change and the look a worker may take the job, or give it back. */
async function changeUnlessHeld(
  access: Access,
  target: Target,
  verb: string,
  change: () => Promise<Job | undefined>
): Promise<Job> {
  const named = 'id' in target ? `job ${target.id}` : `the job of key ${JSON.stringify(target.key)}`
  for (let tries = 0; tries < 10; tries++) {
    const job = await change()
    if (job) return job
    const obstacle = await findObstacle(access, target)
    if (obstacle === undefined) throw new BackgroundError('JOB_GONE', `Cannot ${verb} ${named}: there is none`)
    if (obstacle === 'running') break
    if (obstacle === 'failed' && verb === 'reschedule') {
      throw new BackgroundError(
        'JOB_FAILED',
        `Cannot ${verb} ${named}: it has failed for good. To run it again, retry it`
      )
    }
  }
  throw new BackgroundError('JOB_RUNNING', `Cannot ${verb} ${named}: a worker has it`)
}
