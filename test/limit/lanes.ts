import type { TestDatabase } from '../helpers/database.ts'

/** A job that waits, as users see it and as the engine does. */
export interface WaitingJob {
  readonly id: string
  readonly queue: string | null
  readonly key: string | null
  /** Whether it is where the limits of its task hold. */
  readonly isLimited: boolean
}

/** Reads the jobs, in the order of their ids. */
export async function waitingJobs({ sql }: TestDatabase): Promise<readonly WaitingJob[]> {
  return await sql<WaitingJob[]>`
    select view.id::text, view.queue, view.limit_key as key,
      coalesce(job.flags ? 'kretes:limited' and queues.queue_name like 'kretes:limit %', false) as "isLimited"
    from kretes.jobs view
    join graphile_worker._private_jobs job using (id)
    left join graphile_worker._private_job_queues queues on queues.id = job.job_queue_id
    order by view.id`
}
