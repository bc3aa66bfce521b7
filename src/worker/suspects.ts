import { lossesOf } from '../sql/worker/workers.ts'

/** Jobs that were running, or fetched, when a worker was lost. */
export interface Suspects {
  /**
   * Runs a job, alone if it was lost more than once. If it is a suspect, work is given what marks that it begins, and
   * has to do that first.
   */
  run<Result>(
    job: { id: string; flags: Record<string, unknown> | null },
    work: (mark?: () => Promise<void>) => Promise<Result>
  ): Promise<Result>
}

/**
 * Sees to it that a job which takes its worker down is found out, and that nobody else is blamed. After a first loss
 * every job of the lost worker is a suspect and is marked before it runs. After a second loss those that were running run
 * one at a time, so that a third loss has one culprit.
 */
export function createSuspects(markStarted: (job: string) => Promise<void>): Suspects {
  let last: Promise<unknown> = Promise.resolve()
  return {
    run(job, work) {
      const losses = lossesOf(job.flags)
      if (losses === 0) return work()
      const markedWork = () => work(() => markStarted(job.id))
      if (losses === 1) return markedWork()
      const turn = last.then(markedWork)
      last = turn.catch(() => {})
      return turn
    }
  }
}
