import { BackgroundError } from '../errors.ts'
import type { Job } from '../job.ts'
import { addInTurn, addJob, addTogether, type NewJob } from '../sql/jobs/add.ts'
import type { Access } from '../sql/statement.ts'

/** Adds jobs by the fastest statement that suits them. A job is `undefined` if {@linkcode addAgain} has to add it. */
export async function addAll(access: Access, jobs: readonly NewJob[]): Promise<(Job | undefined)[]> {
  const [only] = jobs
  if (jobs.length === 1 && only) return [await addJob(access, only)]
  const together = canGoTogether(jobs) && (await addTogether(access, jobs))
  return together || (await addInTurn(access, jobs))
}

/** Adds one job. */
export async function addOne(access: Access, job: NewJob): Promise<Job> {
  return (await addJob(access, job)) ?? (await addAgain(access, job))
}

/**
 * Adds a job that the engine did not return. The engine neither replaces nor adds a job while a worker is taking the job
 * of its key. There is no other reason to add a job again.
 *
 * @throws {BackgroundError} `OUTCOME_UNKNOWN` if the job has no key
 */
export async function addAgain(access: Access, job: NewJob): Promise<Job> {
  if (job.key === null) {
    throw new BackgroundError(
      'OUTCOME_UNKNOWN',
      `Cannot tell whether it was possible to schedule ${job.task}: the engine returned no job. Does a trigger on its table drop it?`
    )
  }
  for (let tries = 1; tries < 100; tries++) {
    const added = await addJob(access, job)
    if (added) return added
  }
  throw new Error(`Cannot schedule ${job.task}: a worker keeps taking the job of its key`)
}

/** See {@linkcode addTogether}. */
function canGoTogether(jobs: readonly NewJob[]): boolean {
  const keys = new Set<string>()
  const isTimed = jobs.find(({ key }) => key === null)?.runAt !== null
  return jobs.every(({ runAt, queue, key, keyMode }) => {
    if (runAt !== null && queue !== null) return false
    if (key === null) return (runAt !== null) === isTimed
    const isNew = !keys.has(key)
    keys.add(key)
    return keyMode === 'replace' && isNew
  })
}
