import { codeOf, isTransientFailure } from '../database/failure.ts'
import type { Logger } from '../logger.ts'
import {
  type Connections,
  type Execute,
  limitLocksStatement,
  parametersOf,
  returnToSavepointStatement,
  savepointStatement
} from '../sql/statement.ts'
import { completeJobs } from '../sql/worker/complete.ts'
import { type LockedJob, releaseWorker } from '../sql/worker/control.ts'
import { type EndedRuns, recordReleased } from './ended.ts'
import type { Executor } from './execute.ts'

/** What {@linkcode letGo} takes. */
export interface ReleaseOptions {
  readonly control: Connections
  readonly schema: string
  readonly executor: Pick<Executor, 'finished' | 'unfinished'>
  readonly ended: EndedRuns | undefined
  readonly logger: Logger
}

/**
 * Lets go of all that a worker holds, for others to run. What has finished, and whose completion never got through, is
 * completed in the same transaction, so that nobody runs it again.
 */
export async function letGo(worker: string, options: ReleaseOptions): Promise<void> {
  const { control, schema, executor, ended } = options
  let locked: readonly LockedJob[] = []
  await releaseWorker(control, schema, worker, async (execute, jobs) => {
    locked = jobs
    const over = jobs.filter(executor.finished.has).map(({ id }) => id)
    if (!ended) return over
    return (await record(execute, worker, over, ended, options)) ? [] : over
  })
  for (const { id } of locked) {
    executor.finished.forget(id)
    ended?.forget(id)
  }
}

/**
 * Completes jobs with their runs, and records the runs that are broken off. A ledger that cannot be written is no reason
 * to keep jobs, or to run one again: a run that is not recorded is less bad than a job that runs twice.
 */
async function record(
  execute: Execute,
  worker: string,
  over: readonly string[],
  ended: EndedRuns,
  { schema, executor, logger }: ReleaseOptions
): Promise<boolean> {
  const unfinished = executor.unfinished()
  if (over.length + unfinished.length === 0) return true
  await execute(savepointStatement)
  try {
    // Who changes the ledger just now is not waited for: the jobs would be left to a peer, which runs them again.
    await execute(limitLocksStatement(LOCK_TIMEOUT_MS))
    await recordReleased(execute, schema, ended, worker, unfinished)
    if (over.length > 0) {
      const completion = { ids: over, worker, releasesQueues: true }
      const { text, values } = completeJobs(schema, ended.kept, completion, ended.runs)
      await execute({ text, values: parametersOf(values) })
    }
    await execute(limitLocksStatement(0))
    return true
  } catch (error) {
    if (isTransientFailure(error) && codeOf(error) !== LOCK_NOT_AVAILABLE) throw error
    await execute(returnToSavepointStatement)
    const count = over.length + unfinished.length
    logger.error(`Cannot record ${count === 1 ? '1 run' : `${count} runs`} of a worker that stops: ${error}`, {
      event: 'ledger.failed',
      runs: count,
      error
    })
    return false
  }
}

const LOCK_TIMEOUT_MS = 1_000
const LOCK_NOT_AVAILABLE = '55P03'
