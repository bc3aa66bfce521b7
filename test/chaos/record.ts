import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import type { Job } from '../../src/job.ts'

/** Writes down what jobs do, each in transactions of its own, whatever becomes of the database meanwhile. */
export interface Record {
  /** Runs a job's work between a row that says that it began and a mark that it ended. */
  run(job: Job, attempt: number, work: () => unknown): Promise<void>
  end(): Promise<void>
}

/** Makes a recorder for one worker process. */
export function createRecord(url: string): Record {
  const sql = postgres(url, { max: 12, onnotice: () => {}, fetch_types: false, backoff: () => 0.1, connect_timeout: 5 })

  // A job that could not write would fail, and would rightly run again. Here the worker is on trial, not the job.
  async function insist(statement: () => Promise<unknown>): Promise<void> {
    for (;;) {
      try {
        await statement()
        return
      } catch {
        await sleep(50)
      }
    }
  }

  return {
    async run(job, attempt, work) {
      const id = randomUUID()
      await insist(
        () => sql`
          insert into chaos.runs (id, job, queue, attempt, worker)
          values (${id}, ${job.id}, ${job.queue}, ${attempt}, ${process.pid}) on conflict do nothing`
      )
      await work()
      await insist(() => sql`update chaos.runs set ended_at = clock_timestamp() where id = ${id} and ended_at is null`)
    },
    end: () => sql.end({ timeout: 1 })
  }
}
