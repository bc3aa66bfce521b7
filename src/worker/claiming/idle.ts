import { isConnectionFailure } from '../../database/failure.ts'
import { claimingTimings } from '../../rules/timings.ts'

/** The options of {@linkcode createIdleCheck}. */
export interface IdleCheckOptions {
  /** Whether the worker holds no job. */
  isIdle(): boolean
  /** Whether some workers seem to be dead, so that this worker may get their jobs. */
  hasSuspects(): boolean
  /** Whether the database has a job that the worker could run now. */
  hasDueJobs(): Promise<boolean>
  wake(): void
}

/** Finds out when no job is left to do. */
export interface IdleCheck {
  /** Call when the worker has settled jobs or a fetch has returned none. */
  check(): void
  /** Resolves once the worker holds no job and none is due. */
  whenIdle(): Promise<void>
}

/** Creates an idle check. It queries the database only after `whenIdle` was called. */
export function createIdleCheck({ isIdle, hasSuspects, hasDueJobs, wake }: IdleCheckOptions): IdleCheck {
  let waiting: PromiseWithResolvers<void> | undefined
  let isAsking = false

  function check(): void {
    if (!waiting || isAsking || !isIdle()) return
    isAsking = true
    // Check this before the query: jobs that are rescued meanwhile are due by the time of the query.
    if (hasSuspects()) {
      setTimeout(() => {
        isAsking = false
        check()
      }, claimingTimings.idleEveryMs)
      return
    }
    hasDueJobs()
      .then(
        isDue => {
          if (!isDue && isIdle()) waiting?.resolve()
          // Another worker may be about to settle the due jobs, so this worker asks again after a short pause.
          else if (isDue) setTimeout(wake, claimingTimings.idleEveryMs)
        },
        error => {
          if (!isConnectionFailure(error)) waiting?.reject(error)
          else setTimeout(check, claimingTimings.idleEveryMs)
        }
      )
      .finally(() => {
        isAsking = false
      })
  }

  return {
    check,
    whenIdle() {
      waiting ??= Promise.withResolvers()
      check()
      return waiting.promise
    }
  }
}
