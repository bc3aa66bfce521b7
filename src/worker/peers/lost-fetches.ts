import { peerTimings } from '../../rules/timings.ts'

/** Tracks fetches whose answer was lost: the database may have locked jobs that this worker does not know of. */
export interface LostFetches {
  /** Whether there may be such jobs. */
  readonly areThere: boolean
  /** Whether it is time to look for them. */
  readonly areDue: boolean
  add(): void
  /** Call when the worker has looked for such jobs and released them. */
  settle(): void
}

/** The worker looks at once, and again later: the server may still run a statement after its connection has broken. */
export function createLostFetches(): LostFetches {
  let isNew = false
  let againAtMs = Number.POSITIVE_INFINITY
  return {
    get areThere() {
      return isNew || againAtMs < Number.POSITIVE_INFINITY
    },
    get areDue() {
      return isNew || performance.now() >= againAtMs
    },
    add() {
      isNew = true
    },
    settle() {
      againAtMs = isNew ? performance.now() + peerTimings.lostFetchAgainMs : Number.POSITIVE_INFINITY
      isNew = false
    }
  }
}
