import { withoutDeadlock } from '../database/deadlock.ts'
import { actOn, type BulkAccess } from '../manage/bulk.ts'
import { readJob, readJobs, readRuns } from '../manage/jobs.ts'
import type { BulkOptions, BulkResult, Inspector, JobSelection } from '../manage/manage.ts'
import { VERBS } from '../manage/selection.ts'
import type { Action } from '../sql/ledger/actions.ts'

/** Does something in the database, said in words in case it fails; the schema is there then. */
export type Use = <Result>(what: string, work: (database: BulkAccess) => Promise<Result>) => Promise<Result>

/** What a Background can do with its jobs and runs. */
export interface LedgerInspector extends Inspector {
  /** Cancels many jobs. */
  cancelMany(selection: JobSelection, options?: BulkOptions): Promise<BulkResult>
}

/** Looks at the jobs and runs of one database, and acts on many at a time. */
export function createInspector(use: Use): LedgerInspector {
  async function act(action: Action, selection: JobSelection, options?: BulkOptions): Promise<BulkResult> {
    return await use(`${VERBS[action]} jobs`, actOn(action, selection, options))
  }

  return {
    async jobs(options = {}) {
      const read = readJobs(options)
      return await use('list jobs', ({ access }) => withoutDeadlock(() => read(access)))
    },
    async runs(options = {}) {
      const read = readRuns(options)
      return await use('list runs', ({ access }) => withoutDeadlock(() => read(access)))
    },
    async job(reference) {
      const read = readJob(reference)
      return await use('look at a job', ({ access }) => withoutDeadlock(() => read(access)))
    },
    retry: (selection, options) => act('retry', selection, options),
    delete: (selection, options) => act('delete', selection, options),
    runNow: (selection, options) => act('runNow', selection, options),
    cancelMany: (selection, options) => act('cancel', selection, options)
  }
}
