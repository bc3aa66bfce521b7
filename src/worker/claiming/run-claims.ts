import type { AnyTask } from '../../task.ts'
import type { Claim } from '../execution/claim.ts'
import type { Executor } from '../execution/execute.ts'
import { createPoisonGuard } from '../execution/poison.ts'
import type { Claims } from './claims.ts'

/** The options of {@linkcode createClaimRunner}. */
export interface ClaimRunnerOptions {
  readonly claims: Claims
  readonly tasks: ReadonlyMap<string, AnyTask>
  readonly executor: Executor
  /** Marks a job as started, so that its losses are counted if the worker is lost. */
  markStarted(job: string): Promise<void>
}

/** Runs claimed jobs. */
export interface ClaimRunner {
  /** Runs a job to its end. */
  run(job: string): Promise<void>
  /** Ends a claim that the engine has failed without running the job. */
  refuse(claim: Claim, error: Error): Promise<void>
}

/** Creates a runner. It finds the claim and the task of a job and runs them. */
export function createClaimRunner({ claims, tasks, executor, markStarted }: ClaimRunnerOptions): ClaimRunner {
  const poison = createPoisonGuard(markStarted)
  return {
    async run(job) {
      const claim = claims.of(job)
      const task = claim && tasks.get(claim.job.task)
      if (!claim || !task) throw new Error(`Cannot run job ${job}: it has no claim or no task here`)
      await poison.run(claim, mark => executor.execute(claim, task, mark))
    },
    async refuse(claim, error) {
      await executor.execute(claim, tasks.get(claim.job.task) ?? unknownTask, () => Promise.reject(error))
    }
  }
}

/** The task of a job that fails without running. */
const unknownTask: AnyTask = () => {}
