import { isConnectionFailure } from '../../database/failure.ts'

/** What {@linkcode createIdleCheck} takes. */
export interface IdleCheckOptions {
  /** Whether the worker holds no job. */
  isIdle(): boolean
  /** Whether jobs of peers that seem to be dead may yet become this worker's. */
  hasSuspects(): boolean
  /** Whether the database has a job that the worker could run now. */
  hasDueJobs(): Promise<boolean>
  wake(): void
}

/** Finds out when there is nothing left to do. */
export interface IdleCheck {
  /** The worker has just settled a job or fetched in vain. */
  check(): void
  /** Resolves once it holds no job and none is due. */
  whenIdle(): Promise<void>
}

/** Asks the database only while somebody waits for the answer. */
export function createIdleCheck({ isIdle, hasSuspects, hasDueJobs, wake }: IdleCheckOptions): IdleCheck {
  let waiting: PromiseWithResolvers<void> | undefined
  let isAsking = false

  function check(): void {
    if (!waiting || isAsking || !isIdle()) return
    isAsking = true
    // Asked first: what is rescued then is due before the database is asked.
    if (hasSuspects()) {
      setTimeout(() => {
        isAsking = false
        check()
      }, RECHECK_MS)
      return
    }
    hasDueJobs()
      .then(
        isDue => {
          if (!isDue && isIdle()) waiting?.resolve()
          // Another worker may be about to release what is due, so this one asks again soon, not at once.
          else if (isDue) setTimeout(wake, RECHECK_MS)
        },
        error => {
          if (!isConnectionFailure(error)) waiting?.reject(error)
          else setTimeout(check, RECHECK_MS)
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

const RECHECK_MS = 50
