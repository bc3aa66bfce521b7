import type { Logger } from '../logger.ts'
import { readCancelNotice } from '../sql/jobs/cancel.ts'
import type { Claims } from './claiming/claims.ts'
import { cancel } from './execution/claim.ts'
import { throttle } from './throttle.ts'

/** What {@linkcode createCancelWatch} takes. */
export interface CancelWatchOptions {
  readonly schema: string
  readonly claims: Claims
  /** Which of these jobs are marked as cancelled in the database. */
  look(ids: readonly string[]): Promise<readonly string[]>
  readonly logger: Logger
}

/** Notices that jobs of this worker were cancelled. */
export interface CancelWatch {
  /** A notification of a cancelled job has come; without one, some may have been missed. Any login can send one. */
  notified(notice: string | undefined): void
  stop(): void
}

/**
 * The mark in a job's row cancels it, and nothing else does. A notification is a hint to look at once; since it may be
 * lost, the worker also looks now and then.
 */
export function createCancelWatch({ schema, claims, look, logger }: CancelWatchOptions): CancelWatch {
  const { ask, stop } = throttle(async () => {
    const ids = [...claims.all()].map(({ job }) => job.id)
    if (ids.length === 0) return
    try {
      for (const id of await look(ids)) {
        const claim = claims.of(id)
        if (claim) cancel(claim)
      }
    } catch (error) {
      logger.debug(`Cannot look for cancelled jobs: ${error}`, { error })
    }
  }, PAUSE_MS)
  const round = setInterval(ask, INTERVAL_MS)

  return {
    notified(notice) {
      if (notice === undefined || claims.of(readCancelNotice(notice, schema) ?? '')) ask()
    },
    stop() {
      clearInterval(round)
      stop()
    }
  }
}

const INTERVAL_MS = 2_000

/** Cancelling many jobs one by one takes the worker one look for each pause, not one for each job. */
const PAUSE_MS = 20
