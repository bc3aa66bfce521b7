import type { Logger } from '../logger.ts'
import { coalesce } from './coalesce.ts'

/** What {@linkcode createCancelWatch} takes. */
export interface CancelWatchOptions {
  /** The jobs that this worker holds. */
  held(): readonly string[]
  /** Which of them are marked as cancelled in the database. */
  look(ids: readonly string[]): Promise<readonly string[]>
  cancel(id: string): void
  readonly logger: Logger
}

/** Notices that jobs of this worker were cancelled. */
export interface CancelWatch {
  /** Looks at the marks: jobs may have been cancelled. */
  refresh(): void
  stop(): void
}

/**
 * The mark in a job's row cancels it, and nothing else does. A notification is a hint to look at once; since it may be
 * lost, the worker also looks now and then.
 */
export function createCancelWatch({ held, look, cancel, logger }: CancelWatchOptions): CancelWatch {
  const { ask, stop } = coalesce(async () => {
    const ids = held()
    if (ids.length === 0) return
    try {
      for (const id of await look(ids)) cancel(id)
    } catch (error) {
      logger.debug(`Cannot look for cancelled jobs: ${error}`, { error })
    }
  }, PAUSE_MS)
  const round = setInterval(ask, INTERVAL_MS)

  return {
    refresh: ask,
    stop() {
      clearInterval(round)
      stop()
    }
  }
}

const INTERVAL_MS = 2_000

/** Cancelling many jobs one by one takes the worker one look for each pause, not one for each job. */
const PAUSE_MS = 20
