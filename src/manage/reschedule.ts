import { type Names, refuseUnknown } from '../check/options.ts'
import { checkDefaults, checkKey } from '../check/values.ts'
import { toTimes } from '../enqueue/request.ts'
import { BackgroundError } from '../errors.ts'
import type { Job } from '../job.ts'
import type { JobReference, RescheduleOptions } from '../schedule.ts'
import type { Access } from '../sql/statement.ts'
import { type Changes, changeWaiting, findObstacle, removeWaiting, type Target } from '../sql/waiting.ts'
import { describe } from '../text/describe.ts'

/** Removes a job that waits. */
export function unschedule(access: Access, target: Target): Promise<Job> {
  return insist(access, target, 'unschedule', () => removeWaiting(access, target))
}

/** Changes a job that waits. */
export function reschedule(access: Access, target: Target, changes: Changes): Promise<Job> {
  return insist(access, target, 'reschedule', () => changeWaiting(access, target, changes))
}

/**
 * Which job a caller means. A text of digits is an id, any other a key.
 *
 * @throws {TypeError} if it is no reference to a job
 */
export function toTarget(reference: JobReference, verb: string): Target {
  const isKey = typeof reference === 'string' && !/^\d+$/.test(reference)
  const named: unknown = typeof reference === 'string' ? { [isKey ? 'key' : 'id']: reference } : reference
  const { id, key } = (typeof named === 'object' && named !== null ? named : {}) as { id?: unknown; key?: unknown }
  // A job has both, and its id is the surer one: the key may be another job's by now.
  if (id !== undefined) {
    if (typeof id === 'string' && /^\d{1,19}$/.test(id) && BigInt(id) <= MAX_ID) return { id }
    throw new TypeError(
      `Cannot ${verb} a job: its id is ${describe(id)}, not a number as text. For a key, pass { key }`
    )
  }
  if (key === undefined || key === null) {
    throw new TypeError(
      `Cannot ${verb} a job: what is given is ${describe(reference)}, neither a job, an id nor { key }`
    )
  }
  checkKey(key, `${verb} a job`)
  return { key }
}

/**
 * What a caller wants changed.
 *
 * @throws {TypeError} if an option is of the wrong type, none is given, or there is no such option
 * @throws {RangeError} if an option is out of range
 */
export function toChanges(options: RescheduleOptions): Changes {
  const doing = 'reschedule a job'
  refuseUnknown(options, CHANGES, doing)
  const { runAt, delay, priority, maxAttempts } = options
  checkDefaults({ priority, maxAttempts }, doing)
  const changes = { ...toTimes({ runAt, delay }, doing), priority: priority ?? null, maxAttempts: maxAttempts ?? null }
  if (Object.values(changes).every(value => value === null))
    throw new TypeError(`Cannot ${doing}: nothing is to change`)
  return changes
}

/** What {@linkcode RescheduleOptions} may hold. */
export const CHANGES: Names<RescheduleOptions> = { runAt: true, delay: true, priority: true, maxAttempts: true }

const MAX_ID = 2n ** 63n - 1n

/** Between a look and a change a worker may take the job, or give it back. */
async function insist(
  access: Access,
  target: Target,
  verb: string,
  attempt: () => Promise<Job | undefined>
): Promise<Job> {
  const named = 'id' in target ? `job ${target.id}` : `the job of key ${JSON.stringify(target.key)}`
  for (let tries = 0; tries < 10; tries++) {
    const job = await attempt()
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
