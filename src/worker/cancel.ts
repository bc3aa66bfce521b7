import type { Logger } from '../logger.ts'

/** What {@linkcode createCancelWatch} takes. */
export interface CancelWatchOptions {
  /** The jobs that this worker holds. */
  held(): readonly string[]
  /** Which of them somebody has cancelled. */
  look(ids: readonly string[]): Promise<readonly string[]>
  cancel(id: string): void
  readonly logger: Logger
}

/** Notices that jobs of this worker were cancelled. */
export interface CancelWatch {
  /** A notification may have been missed. */
  refresh(): void
  stop(): void
}

/** Notifications tell of cancelled jobs at once; since one may be lost, the marks are looked at now and then. */
export function createCancelWatch({ held, look, cancel, logger }: CancelWatchOptions): CancelWatch {
  let isLooking = false
  const round = setInterval(refresh, INTERVAL_MS)

  function refresh(): void {
    const ids = held()
    if (isLooking || ids.length === 0) return
    isLooking = true
    look(ids)
      .then(
        found => found.forEach(cancel),
        error => logger.debug(`Cannot look for cancelled jobs: ${error}`, { error })
      )
      .finally(() => {
        isLooking = false
      })
  }

  return { refresh, stop: () => clearInterval(round) }
}

const INTERVAL_MS = 2_000
