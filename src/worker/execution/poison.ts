import type { Claim } from './claim.ts'

/** Runs jobs in a way that finds the job that takes workers down, and blames no other job. */
export interface PoisonGuard {
  /**
   * Runs a job. After one loss, the work receives a function that marks the job as started, and must call it first.
   * After two losses, such jobs also run one at a time.
   */
  run<Result>(claim: Claim, work: (mark?: () => Promise<void>) => Promise<Result>): Promise<Result>
}

/**
 * After the first loss, every job of the lost worker is a suspect and is marked before it runs. After the second loss,
 * the jobs that were running run one at a time, so that a third loss identifies the job.
 */
export function createPoisonGuard(markStarted: (job: string) => Promise<void>): PoisonGuard {
  let last: Promise<unknown> = Promise.resolve()
  return {
    run({ job, losses }, work) {
      if (losses === 0) return work()
      const markedWork = () => work(() => markStarted(job.id))
      if (losses === 1) return markedWork()
      const turn = last.then(markedWork)
      last = turn.catch(() => {})
      return turn
    }
  }
}
