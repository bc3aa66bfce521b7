import type { Ending } from '../../src/sql/worker/ending.ts'

/** The ending of a run that has succeeded, but for what a test says of it. */
export function endingOf(part: Pick<Ending, 'id'> & Partial<Ending>): Ending {
  return {
    attempt: 1,
    lockedAtMs: 0,
    isQueued: false,
    state: 'succeeded',
    durationMs: 1,
    endedMs: performance.now(),
    error: null,
    result: null,
    problem: null,
    payload: null,
    log: null,
    isAfterFailure: false,
    isRecorded: true,
    next: { kind: 'remove' },
    ...part
  }
}
