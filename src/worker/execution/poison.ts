import type { Claim } from './claim.ts'

/** Runs jobs so that one which takes its worker down is found out, and no other job is blamed. */
export interface PoisonGuard {
  /**
   * Runs a job, alone if workers were lost with it more than once. If there were any, work is given what marks that the
   * job begins, and has to do that first.
   */
  run<Result>(claim: Claim, work: (mark?: () => Promise<void>) => Promise<Result>): Promise<Result>
}

/**
 * After a first loss, each job of the lost worker is a suspect and is marked before it runs. After a second loss, those
 * that were running run one at a time, so that a third loss has one culprit.
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
