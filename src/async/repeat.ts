import { setTimeout } from 'node:timers/promises'

/** The options of {@linkcode repeat}. */
export interface Repetition {
  /** Ends the repetition, which then throws the last failure. */
  readonly signal: AbortSignal
  readonly pauses: Pauses
  /** Called with each failure, unless the signal has aborted. If it throws, the repetition ends with that error. */
  onFailure(error: unknown): void | Promise<void>
}

/** The pause between two tries, in milliseconds. It doubles each time, from the least to the most. */
export interface Pauses {
  readonly leastMs: number
  readonly mostMs: number
}

/** Repeats work until it succeeds, with growing pauses. */
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

/** How long to pause, in milliseconds, after so many failures before this one. A random part keeps many from coming back at once. */
export function pauseAfter(failures: number, { leastMs, mostMs }: Pauses): number {
  return Math.min(mostMs, leastMs * 2 ** Math.min(failures, 30)) * (0.5 + Math.random() / 2)
}
