import type { Job } from '../job.ts'
import type { NewJob } from '../sql/jobs/add.ts'
import type { Access } from '../sql/statement.ts'
import type { Registry } from './registry.ts'
import { type AnyOptions, JOB_OPTIONS, type JobSettings, type Request, toNewJob, toRequest } from './request.ts'

/** How {@linkcode schedule} reaches the database. */
export interface ScheduleAccess {
  readonly access: Access
  readonly registry: Registry
  readonly add: (job: NewJob) => Promise<Job>
}

/** Schedules one job. The caller has made the request from the options, so that wrong ones fail at once. */
export async function schedule(
  options: AnyOptions,
  request: Request,
  settings: JobSettings,
  { access, registry, add }: ScheduleAccess
): Promise<Job> {
  if (registry.isUnread(options.task)) await registry.learn(options.task, access)
  const registered = registry.defaultsOf(options.task)
  const full = registered ? toRequest(options, settings.defaults, JOB_OPTIONS, registered) : request
  const job = toNewJob(options, full, settings)
  // Awaiting a job that is at hand would let other calls overtake this one.
  return await add(job instanceof Promise ? await job : job)
}
