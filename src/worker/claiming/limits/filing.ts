import { laneOf } from '../../../limit/lane.ts'
import type { Logger } from '../../../logger.ts'
import type { Choice } from '../../../sql/flow/choice.ts'
import { fileJobs, findUnfiled, type UnfiledJob } from '../../../sql/flow/filing.ts'
import type { Execute } from '../../../sql/statement.ts'
import { type AnyTask, optionsOf } from '../../../task.ts'

/** The options of {@linkcode createFiling}. */
export interface FilingOptions {
  readonly execute: Execute
  readonly schema: string
  /** The tasks of the worker, by name. */
  readonly tasks: ReadonlyMap<string, AnyTask>
  readonly choice: Choice
  readonly logger: Logger
}

/**
 * Puts jobs into lanes that the call which has scheduled them has not put there: it knew only the name of the task, or the
 * task had no limits yet.
 */
export function createFiling({ execute, schema, tasks, choice, logger }: FilingOptions): () => Promise<void> {
  function toLane({ id, task, payload }: UnfiledJob): string {
    const limit = optionsOf(tasks.get(task)).limit!
    try {
      return laneOf(task, limit, payload, 'read the key of its limit')
    } catch (error) {
      const message = `${error instanceof Error ? error.message : error}. Job ${id} of ${task} counts as one with the key null`
      logger.warn(message, { event: 'limit.key', job: id, task, error })
      return laneOf(task, { concurrency: 1, per: () => null }, payload)
    }
  }

  return async () => {
    const jobs = await execute<UnfiledJob>(findUnfiled(schema, choice, MOST))
    if (jobs.length === 0) return
    await fileJobs(
      execute,
      schema,
      jobs.map(job => ({ id: job.id, lane: toLane(job) }))
    )
  }
}

const MOST = 500
