import { setTimeout } from 'node:timers/promises'

/** The options of {@linkcode repeat}. */
export interface Repetition {
  /** Ends the repetition: the last failure is thrown. */
  readonly signal: AbortSignal
  readonly pauses: Pauses
  /** Called with each failure while the signal has not aborted; what it throws ends the repetition. */
  onFailure(error: unknown): void | Promise<void>
}

/** How long to wait between two tries, in milliseconds: twice as long each time. */
export interface Pauses {
  readonly leastMs: number
  readonly mostMs: number
}

/** Repeats work until it succeeds, after pauses that grow. */
export async function repeat<Result>(
  work: () => Promise<Result>,
  { signal, pauses, onFailure }: Repetition
): Promise<Result> {
  for (let failures = 0; ; failures++) {
    try {
      return await work()
    } catch (error) {
      if (signal.aborted) throw error
      await onFailure(error)
      await setTimeout(pauseAfter(failures, pauses), undefined, { signal }).catch(() => {})
      if (signal.aborted) throw error
    }
  }
}

/** Not the same for all, so that many do not come back at once. */
function pauseAfter(failures: number, { leastMs, mostMs }: Pauses): number {
  return Math.min(mostMs, leastMs * 2 ** Math.min(failures, 30)) * (0.5 + Math.random() / 2)
}
