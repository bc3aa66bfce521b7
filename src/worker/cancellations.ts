import { coalesce } from '../async/coalesce.ts'
import type { Logger } from '../logger.ts'
import { workerTimings } from '../rules/timings.ts'
import { readCancelNotice } from '../sql/jobs/cancel.ts'
import type { Claims } from './claiming/claims.ts'
import { cancel } from './execution/claim.ts'

/** The options of {@linkcode createCancelWatch}. */
export interface CancelWatchOptions {
  readonly schema: string
  readonly claims: Claims
  /** Returns those of these jobs that are marked as cancelled in the database. */
  look(ids: readonly string[]): Promise<readonly string[]>
  readonly logger: Logger
}

/** Notices that jobs of this worker were cancelled. */
export interface CancelWatch {
  /**
   * Call when a notification of a cancelled job arrives, or without a notice when notifications may have been missed.
   * Any login can send a notification.
   */
  notified(notice: string | undefined): void
  stop(): void
}

/**
 * Only the mark in a job's row cancels the job. A notification is a hint to look now; since it may be lost, the worker
 * also looks at regular intervals.
 */
export function createCancelWatch({ schema, claims, look, logger }: CancelWatchOptions): CancelWatch {
  const { ask, stop } = coalesce(async () => {
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
  }, workerTimings.cancelPauseMs)
  const round = setInterval(ask, workerTimings.cancelEveryMs)

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
