import type { AnyTask } from '../../task.ts'
import type { Claim } from '../execution/claim.ts'
import type { Executor } from '../execution/execute.ts'
import { createPoisonGuard } from '../execution/poison.ts'

/** The options of {@linkcode createClaimRunner}. */
export interface ClaimRunnerOptions {
  readonly tasks: ReadonlyMap<string, AnyTask>
  readonly executor: Executor
  /** Marks a job as started, so that its losses are counted if the worker is lost. */
  markStarted(job: string): Promise<void>
}

/** Runs claimed jobs. */
export interface ClaimRunner {
  /** Runs the job of a claim to its end. */
  perform(claim: Claim): Promise<void>
  /** Ends a claim that the engine has failed without running the job. */
  refuse(claim: Claim, error: Error): Promise<void>
}

/** Creates a runner. */
export function createClaimRunner({ tasks, executor, markStarted }: ClaimRunnerOptions): ClaimRunner {
  const poison = createPoisonGuard(markStarted)
  return {
    async perform(claim) {
      const task = tasks.get(claim.job.task)
      if (!task) throw new Error(`Cannot run job ${claim.job.id}: its task ${claim.job.task} is not here`)
      await poison.run(claim, mark => executor.execute(claim, task, mark))
    },
    async refuse(claim, error) {
      await executor.execute(claim, tasks.get(claim.job.task) ?? unknownTask, () => Promise.reject(error))
    }
  }
}

/** The task of a job that fails without running. */
const unknownTask: AnyTask = () => {}
